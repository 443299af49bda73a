"""Routes of the operations' pages."""

from django.urls import path

from . import views

app_name = "operations"
urlpatterns = [
    path("operations/", views.list_operations, name="list"),
    path("operations/figures/", views.show_figures, name="figures"),
    path("operations/<uuid:operation_id>/", views.show_operation, name="detail"),
    path("operations/<uuid:operation_id>/cancel/", views.cancel_operation, name="cancel"),
    path("operations/<uuid:operation_id>/resume/", views.resume_operation, name="resume"),
    path("operations/<uuid:operation_id>/dismiss/", views.dismiss_operation, name="dismiss"),
]
