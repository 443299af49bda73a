"""Routes of albums, notes and drafts."""

from django.urls import path

from . import album_settings, albums, drafts, notes

app_name = "albums"
urlpatterns = [
    path("albums/", albums.list_albums, name="list"),
    path("albums/trash/", albums.show_trash, name="trash"),
    path("albums/<uuid:album_id>/", albums.show_album, name="album"),
    path("albums/<uuid:album_id>/photos/<uuid:photo_id>/", albums.show_photo, name="photo"),
    path("albums/<uuid:album_id>/settings/", album_settings.show_settings, name="settings"),
    path("albums/<uuid:album_id>/members/", album_settings.save_member, name="member"),
    path("albums/<uuid:album_id>/members/remove/", album_settings.drop_member, name="member-remove"),
    path("albums/<uuid:album_id>/hand-over/", album_settings.hand_over, name="hand-over"),
    path("albums/<uuid:album_id>/delete/", album_settings.delete, name="delete"),
    path("notes/", notes.list_notes, name="notes"),
    path("notes/<uuid:note_id>/", notes.show_note, name="note"),
    path("notes/<uuid:note_id>/delete/", notes.delete, name="note-delete"),
    path("drafts/new/", drafts.begin, name="draft-new"),
    path("drafts/<uuid:draft_id>/", drafts.show_draft, name="draft"),
]
