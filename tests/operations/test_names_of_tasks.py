"""Celery's names of tasks are a format: messages that wait at an update were sent under them."""

from photolala.celery import app

NAMES = {
    "catalog.tasks.assist_scan",
    "catalog.tasks.empty_trash",
    "catalog.tasks.empty_trash_of_albums",
    "catalog.tasks.forget_old_uploads",
    "catalog.tasks.go_on",
    "catalog.tasks.import_what_waits",
    "catalog.tasks.index_words",
    "catalog.tasks.keep_quota",
    "catalog.tasks.prune_hashes",
    "catalog.tasks.scan_what_is_due",
    "catalog.tasks.write_what_is_due",
    "changes.tasks.collect_tombstones",
    "exports.tasks.make_backups",
    "exports.tasks.purge_exports",
    "exports.tasks.start_due_exports",
    "operations.run",
    "operations.tasks.purge",
    "operations.tasks.sweep",
    "sync.tasks.forget_old_mutations",
}


def test_tasks_are_called_what_they_always_were():
    app.loader.import_default_modules()
    assert {name for name in app.tasks if not name.startswith("celery.")} == NAMES
