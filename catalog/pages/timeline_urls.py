"""Routes of the timeline: everything one may see, one library's, one's favourites, a search, and an opened photo."""

from django.urls import path

from . import search, timeline

urlpatterns = [
    path("", timeline.show_timeline, name="timeline"),
    path("favourites/", timeline.show_favourites, name="favourites"),
    path("search/", search.show_search, name="search"),
    path("libraries/<uuid:library_id>/", timeline.show_library, name="library-timeline"),
    path("photos/", timeline.list_photos, name="photo-list"),
    path("photos/<uuid:photo_id>/", timeline.show_photo, name="photo"),
]
