"""Routes of exports and export destinations."""

from django.urls import path

from . import (
    backup_schedules,
    backups,
    catalog_imports,
    destination_checks,
    destination_previews,
    destination_records,
    destination_reports,
    destinations,
    exports,
    restores,
    selections,
)

DESTINATION = "export-destinations/<uuid:destination_id>/"

urlpatterns = [
    path("backups/", backups.BackupList.as_view(), name="backups"),
    path("backups/schedule/", backup_schedules.BackupScheduleView.as_view(), name="backup-schedule"),
    path("backups/<uuid:backup_id>/", backups.BackupDetail.as_view(), name="backup"),
    path("backups/<uuid:backup_id>/verify/", backups.VerifyBackup.as_view(), name="backup-verify"),
    path("backups/<uuid:backup_id>/download/", backups.BackupDownload.as_view(), name="backup-download"),
    path("exports/", exports.ExportList.as_view(), name="exports"),
    path("exports/<uuid:export_id>/", exports.ExportDetail.as_view(), name="export"),
    path("exports/<uuid:export_id>/import/", catalog_imports.ExportImport.as_view(), name="export-import"),
    path("exports/<uuid:export_id>/download/", exports.ExportDownload.as_view(), name="export-download"),
    path("export-destinations/", destinations.DestinationList.as_view(), name="export-destinations"),
    path("export-destinations/preview/", destination_previews.Preview.as_view(), name="export-preview"),
    path(DESTINATION, destinations.DestinationDetail.as_view(), name="export-destination"),
    path(f"{DESTINATION}export/", destinations.StartFolderExport.as_view(), name="export-folder"),
    path(f"{DESTINATION}move/", destinations.MoveDestination.as_view(), name="export-move"),
    path(f"{DESTINATION}verify/", destination_checks.StartVerification.as_view(), name="export-verify"),
    path(f"{DESTINATION}rebuild/", destination_checks.StartRebuild.as_view(), name="export-rebuild"),
    path(f"{DESTINATION}months/", destination_records.Months.as_view(), name="export-months"),
    path(f"{DESTINATION}reports/", destination_reports.Reports.as_view(), name="export-reports"),
    path(
        f"{DESTINATION}reports/<uuid:operation_id>.csv",
        destination_reports.CsvReport.as_view(),
        name="export-report-csv",
    ),
    path(
        f"{DESTINATION}reports/<uuid:operation_id>.json",
        destination_reports.JsonReport.as_view(),
        name="export-report-json",
    ),
    path(f"{DESTINATION}find-backups/", backups.FindBackups.as_view(), name="export-find-backups"),
    path(f"{DESTINATION}damage/", destination_checks.Damage.as_view(), name="export-damage"),
    path("photos/download/", selections.DownloadSelection.as_view(), name="photos-download"),
    path("photos/download/plan/", selections.PlanDownload.as_view(), name="photos-download-plan"),
    path("photos/export/", selections.ExportSelection.as_view(), name="photos-export"),
    path("restores/", restores.RestoreList.as_view(), name="restores"),
    path("restores/<uuid:restore_id>/", restores.RestoreDetail.as_view(), name="restore"),
    path("restores/<uuid:restore_id>/confirm/", restores.RestoreConfirm.as_view(), name="restore-confirm"),
    path("restores/<uuid:restore_id>/report/", restores.RestoreReport.as_view(), name="restore-report"),
    path(f"{DESTINATION}records/<path:asset_id>/", destination_records.Record.as_view(), name="export-record"),
]
