"""Routes of the timeline: everything one may see, one library's, one's favourites, and an opened photo."""

from django.urls import path

from . import timeline

urlpatterns = [
    path("", timeline.show_timeline, name="timeline"),
    path("favourites/", timeline.show_favourites, name="favourites"),
    path("libraries/<uuid:library_id>/", timeline.show_library, name="library-timeline"),
    path("photos/", timeline.list_photos, name="photo-list"),
    path("photos/<uuid:photo_id>/", timeline.show_photo, name="photo"),
]
