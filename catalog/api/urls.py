"""Routes of libraries, photos and the timeline."""

from django.urls import path

from . import photos, timeline

urlpatterns = [
    path("photos/", photos.PhotoList.as_view(), name="photos"),
    path("photos/favorites/", photos.FavouriteList.as_view(), name="favorites"),
    path("photos/bulk-favorite/", photos.BulkFavourite.as_view(), name="bulk-favorite"),
    path("photos/<uuid:photo_id>/", photos.PhotoDetail.as_view(), name="photo"),
    path("photos/<uuid:photo_id>/favorite/", photos.PhotoFavourite.as_view(), name="favorite"),
    path("timeline/buckets/", timeline.Buckets.as_view(), name="timeline-buckets"),
    path("timeline/bucket/", timeline.Bucket.as_view(), name="timeline-bucket"),
]
