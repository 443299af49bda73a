"""Change a library's settings: the one way for API, page and admin."""

from typing import Any
from zoneinfo import available_timezones

from django.db import transaction

from catalog.models import Library
from catalog.roots.folders import LibraryRefused

SETTINGS = (
    "name",
    "time_zone",
    "ratings",
    "file_times",
    "scan_every_hours",
    "verify_every_days",
    "trash_days",
    "is_watched",
)
"""The fields that their owner may change; `relocate` says where a library is, `transfer` whose it is."""
_CANNOT_WATCH = "Only folders of the server can be watched; set scan_every_hours instead. Nothing was changed."
_CANNOT_WRITE = (
    "Stars of photos in buckets and on phones stay in Photolala's database: their files cannot be written. Nothing was "
    "changed."
)


class SettingRefused(LibraryRefused):
    """A value that this library cannot have; `name` is the field's, `code` the API's."""

    def __init__(self, name: str, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.name = name
        self.code = code


def check_settings(library: Library, wanted: dict[str, Any]) -> None:
    """Raise SettingRefused if the library cannot have one of these values; names are those of `SETTINGS`."""
    if "name" in wanted and not str(wanted["name"]).strip():
        raise SettingRefused("name", "A library needs a name. Nothing was changed.", "invalid")
    if "time_zone" in wanted and wanted["time_zone"] not in available_timezones():
        sentence = "This server knows no such time zone; write a name such as Europe/Berlin. Nothing was changed."
        raise SettingRefused("time_zone", sentence, "invalid")
    if library.source == "local":
        return
    if wanted.get("is_watched"):
        raise SettingRefused("is_watched", _CANNOT_WATCH, "cannot_watch")
    if wanted.get("ratings", Library.Ratings.DATABASE) != Library.Ratings.DATABASE:
        raise SettingRefused("ratings", _CANNOT_WRITE, "cannot_write_ratings")


def change(library: Library, **wanted: Any) -> Library:
    """Let a library have these settings, all or none, and return it. The time zone counts from the next reading of a file.

    Who may do it is the caller's to check. Raises SettingRefused with a sentence; then nothing was changed.
    """
    unknown = wanted.keys() - set(SETTINGS)
    if unknown:
        raise TypeError(f"These are no settings of a library: {', '.join(sorted(unknown))}")
    check_settings(library, wanted)
    if not wanted:
        return library
    with transaction.atomic():
        for name, value in wanted.items():
            setattr(library, name, value)
        library.save(update_fields=list(wanted))
    return library
