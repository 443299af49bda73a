"""Routes of the exports' pages."""

from django.urls import path

from . import backups, destination_contents, destinations, exports, restores, selections

app_name = "exports"
urlpatterns = [
    path("backups/", backups.list_backups, name="backups"),
    path("backups/start/", backups.start, name="backup-start"),
    path("backups/find/", backups.find, name="backup-find"),
    path("backups/schedule/", backups.schedule, name="backup-schedule"),
    path("backups/<uuid:backup_id>/download/", backups.download, name="backup-download"),
    path("backups/<uuid:backup_id>/key/", backups.key_file, name="backup-key"),
    path("backups/<uuid:backup_id>/verify/", backups.verify, name="backup-verify"),
    path("backups/<uuid:backup_id>/delete/", backups.delete, name="backup-delete"),
    path("photos/download/", selections.download, name="photos-download"),
    path("exports/", exports.list_exports, name="list"),
    path("exports/start/", exports.start, name="start"),
    path("exports/<uuid:export_id>/download/", exports.download, name="download"),
    path("exports/<uuid:export_id>/import/", exports.give_back, name="import"),
    path("exports/<uuid:export_id>/delete/", exports.delete, name="delete"),
    path("destinations/add/", destinations.add, name="destination-add"),
    path("destinations/<uuid:destination_id>/", destinations.show, name="destination"),
    path("destinations/<uuid:destination_id>/export/", destinations.export, name="destination-export"),
    path("destinations/<uuid:destination_id>/verify/", destinations.verify, name="destination-verify"),
    path("destinations/<uuid:destination_id>/rebuild/", destinations.rebuild, name="destination-rebuild"),
    path("destinations/<uuid:destination_id>/dismiss/", destinations.dismiss, name="destination-dismiss"),
    path("destinations/<uuid:destination_id>/change/", destination_contents.change, name="destination-change"),
    path("destinations/<uuid:destination_id>/move/", destination_contents.move, name="destination-move"),
    path(
        "destinations/<uuid:destination_id>/lacking/<int:year>/<int:month>/",
        destination_contents.lacking,
        name="destination-lacking",
    ),
    path(
        "destinations/<uuid:destination_id>/reports/<uuid:operation_id>.<str:kind>",
        destination_contents.report,
        name="destination-report",
    ),
    path("destinations/<uuid:destination_id>/remove/", destinations.remove, name="destination-remove"),
    path("restores/", restores.list_restores, name="restores"),
    path("restores/send/", restores.send, name="restore-send"),
    path("restores/<uuid:restore_id>/", restores.show, name="restore"),
    path("restores/<uuid:restore_id>/confirm/", restores.confirm, name="restore-confirm"),
    path("restores/<uuid:restore_id>/forget/", restores.forget, name="restore-forget"),
]
