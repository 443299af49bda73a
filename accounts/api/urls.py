"""Routes of devices and the profile."""

from django.urls import path

from . import devices

urlpatterns = [
    path("auth/devices/", devices.DeviceList.as_view(), name="devices"),
    path("auth/devices/<uuid:device_id>/", devices.DeviceDetail.as_view(), name="device"),
    path("auth/sign-out-everywhere/", devices.SignOutEverywhere.as_view(), name="sign-out-everywhere"),
    path("me/", devices.Me.as_view(), name="me"),
]
