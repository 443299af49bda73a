"""Routes of operations."""

from django.urls import path

from . import operations

urlpatterns = [
    path("operations/", operations.OperationList.as_view(), name="operations"),
    path("operations/<uuid:operation_id>/", operations.OperationDetail.as_view(), name="operation"),
    path("operations/<uuid:operation_id>/cancel/", operations.Cancel.as_view(), name="operation-cancel"),
    path("operations/<uuid:operation_id>/resume/", operations.Resume.as_view(), name="operation-resume"),
    path("operations/<uuid:operation_id>/retry/", operations.Retry.as_view(), name="operation-retry"),
]
