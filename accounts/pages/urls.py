"""Routes of the sign-in and profile pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from . import views

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.SignInView.as_view(), name="login"),
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("me/", views.show_profile, name="profile"),
    path("me/password/", views.change_password, name="password"),
    path("me/sign-out-everywhere/", views.sign_out_everywhere, name="sign-out-everywhere"),
    path("me/theme/", views.choose_theme, name="theme"),
    path("me/devices/", views.make_token, name="make-token"),
    path("me/devices/<uuid:device_id>/revoke/", views.revoke_device, name="revoke-device"),
]
