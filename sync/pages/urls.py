"""Routes of the page of sync."""

from django.urls import path

from . import views

app_name = "sync"
urlpatterns = [
    path("sync/", views.show, name="status"),
    path("sync/conflicts/<uuid:conflict_id>/decide/", views.decide, name="decide"),
]
