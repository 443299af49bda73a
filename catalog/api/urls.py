"""Routes of libraries, photos, the timeline, and what changed."""

from django.urls import path

from . import (
    dates,
    entries,
    events,
    file_writes,
    health,
    imports,
    libraries,
    media,
    photos,
    snapshots,
    timeline,
    uploads,
)

LIBRARY = "libraries/<uuid:library_id>/"
PHOTO = "photos/<uuid:photo_id>/"

urlpatterns = [
    path("libraries/", libraries.LibraryList.as_view(), name="libraries"),
    path(LIBRARY, libraries.LibraryDetail.as_view(), name="library"),
    path(f"{LIBRARY}members/", libraries.Members.as_view(), name="members"),
    path(f"{LIBRARY}scan/", libraries.Scan.as_view(), name="scan"),
    path(f"{LIBRARY}restore/", snapshots.Restore.as_view(), name="restore"),
    path(f"{LIBRARY}purge/", snapshots.Purge.as_view(), name="purge"),
    path(f"{LIBRARY}rebuild/", snapshots.Rebuild.as_view(), name="rebuild"),
    path(f"{LIBRARY}entries/", entries.Entries.as_view(), name="entries"),
    path(f"{LIBRARY}snapshots/", entries.Snapshots.as_view(), name="snapshots"),
    path(f"{LIBRARY}snapshots/<str:md5>/", entries.SnapshotDetail.as_view(), name="snapshot"),
    path(f"{LIBRARY}snapshots/<str:md5>/file", entries.SnapshotFile.as_view(), name="snapshot-file"),
    path(f"{LIBRARY}snapshots/<str:md5>/diff/", snapshots.SnapshotDiff.as_view(), name="snapshot-diff"),
    path("photos/", photos.PhotoList.as_view(), name="photos"),
    path("photos/favorites/", photos.FavouriteList.as_view(), name="favorites"),
    path("photos/bulk-favorite/", photos.BulkFavourite.as_view(), name="bulk-favorite"),
    path("photos/dates/", dates.PhotoDates.as_view(), name="photo-dates"),
    path(PHOTO, photos.PhotoDetail.as_view(), name="photo"),
    path(f"{PHOTO}favorite/", photos.PhotoFavourite.as_view(), name="favorite"),
    path(f"{PHOTO}thumbnail/", media.Thumbnail.as_view(), name="thumbnail"),
    path(f"{PHOTO}preview/", media.Preview.as_view(), name="preview"),
    path(f"{PHOTO}original/", media.Original.as_view(), name="original"),
    path(f"{PHOTO}metadata/", media.Metadata.as_view(), name="metadata"),
    path(f"{PHOTO}undo/", file_writes.PhotoUndo.as_view(), name="undo"),
    path("writes/", file_writes.WriteList.as_view(), name="writes"),
    path("writes/<uuid:write_id>/retry/", file_writes.WriteRetry.as_view(), name="write-retry"),
    path("writes/<uuid:write_id>/give-up/", file_writes.WriteGiveUp.as_view(), name="write-give-up"),
    path("imports/", imports.ImportList.as_view(), name="imports"),
    path("imports/<uuid:import_id>/", imports.ImportDetail.as_view(), name="import"),
    path("imports/<uuid:import_id>/items/", imports.ImportItems.as_view(), name="import-items"),
    path("imports/<uuid:import_id>/retry/", imports.ImportRetry.as_view(), name="import-retry"),
    path("imports/<uuid:import_id>/stop/", imports.ImportStop.as_view(), name="import-stop"),
    path("uploads/", uploads.UploadList.as_view(), name="uploads"),
    path("uploads/<uuid:upload_id>/", uploads.UploadDetail.as_view(), name="upload"),
    path("timeline/buckets/", timeline.Buckets.as_view(), name="timeline-buckets"),
    path("timeline/bucket/", timeline.Bucket.as_view(), name="timeline-bucket"),
    path("events/poll", events.Poll.as_view(), name="events-poll"),
    path("health/live", health.Live.as_view(), name="health-live"),
    path("health/ready", health.Ready.as_view(), name="health-ready"),
    path("metrics", health.Metrics.as_view(), name="metrics"),
]
