"""Routes of the catalog's pages."""

from django.urls import path

from . import (
    about,
    dates,
    duplicates,
    file_writes,
    folders,
    imports,
    keywords,
    libraries,
    library_settings,
    problems,
    trash,
)
from .timeline_urls import urlpatterns as timeline_patterns

app_name = "catalog"
urlpatterns = [
    *timeline_patterns,
    path("dates/", dates.change_dates, name="dates"),
    path("keywords/", keywords.change_many, name="keywords"),
    path("photos/<uuid:photo_id>/date/undo/", dates.take_date_back, name="date-undo"),
    path("duplicates/", duplicates.show_duplicates, name="duplicates"),
    path("duplicates/keep/", duplicates.keep_chosen, name="duplicates-keep"),
    path("duplicates/undo/", duplicates.undo, name="duplicates-undo"),
    path("writes/", file_writes.show_writes, name="writes"),
    path("writes/<uuid:write_id>/retry/", file_writes.retry_write, name="write-retry"),
    path("writes/<uuid:write_id>/give-up/", file_writes.give_up_write, name="write-give-up"),
    path("imports/", imports.show_imports, name="imports"),
    path("imports/folder/", imports.import_folder, name="import-folder"),
    path("imports/<uuid:import_id>/", imports.show_import, name="import"),
    path("imports/<uuid:import_id>/retry/", imports.retry_import, name="import-retry"),
    path("imports/<uuid:import_id>/stop/", imports.stop_import, name="import-stop"),
    path("libraries/", libraries.list_libraries, name="libraries"),
    path("libraries/add/", libraries.add, name="library-add"),
    path("libraries/<uuid:library_id>/scan/", libraries.scan, name="library-scan"),
    path("libraries/<uuid:library_id>/folders/", folders.show_folder, name="library-folders"),
    path("libraries/<uuid:library_id>/problems/", problems.show_problems, name="library-problems"),
    path("libraries/<uuid:library_id>/purge/", problems.purge, name="library-purge"),
    path("libraries/<uuid:library_id>/trash/", trash.show_trash, name="library-trash"),
    path("libraries/<uuid:library_id>/trash/restore/", trash.restore, name="library-trash-restore"),
    path("libraries/<uuid:library_id>/trash/empty/", trash.empty, name="library-trash-empty"),
    path("libraries/<uuid:library_id>/about/", about.show_about, name="library-about"),
    path("libraries/<uuid:library_id>/snapshots/<str:md5>/", about.show_difference, name="library-snapshot"),
    path("libraries/<uuid:library_id>/restore/", about.restore, name="library-restore"),
    path("libraries/<uuid:library_id>/rebuild/", about.rebuild, name="library-rebuild"),
    path("libraries/<uuid:library_id>/settings/", library_settings.show_settings, name="library-settings"),
    path("libraries/<uuid:library_id>/settings/save/", library_settings.save_settings, name="library-save"),
    path("libraries/<uuid:library_id>/members/", library_settings.save_member, name="library-member"),
    path("libraries/<uuid:library_id>/members/remove/", library_settings.drop_member, name="library-member-remove"),
    path("libraries/<uuid:library_id>/move/", library_settings.move, name="library-move"),
    path("libraries/<uuid:library_id>/forget/", library_settings.forget, name="library-forget"),
]
