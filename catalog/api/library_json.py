"""Libraries as the API writes them."""

from typing import Any
from zoneinfo import available_timezones

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from catalog.libraries.settings import SETTINGS
from catalog.models import Library
from catalog.roots.told import told
from catalog.scanning.requests import SOURCE_TROUBLES, last_scans, stopped_json
from operations.models import Operation
from photolala.web.parameters import utc_text

_FIGURES = ("photo_count", "problem_count", "missing_count", "size_bytes", "revision")


class StoppedBody(serializers.Serializer[Any]):
    """Why the last scan stopped at the library's root and changed nothing."""

    code = serializers.ChoiceField(SOURCE_TROUBLES, help_text="`confirm_gone`: scan again with that confirmation.")
    sentence = serializers.CharField()
    gone = serializers.IntegerField(allow_null=True)
    known = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()


def _known_zone(name: str) -> None:
    if name not in available_timezones():
        raise serializers.ValidationError("Write a time zone's name, such as Europe/Berlin.")


@extend_schema_field({"type": "string", "format": "time-zone", "example": "Europe/Berlin"})
class ZoneName(serializers.CharField):
    """The name of a time zone in the IANA database."""


class LibrarySettings(serializers.Serializer[Any]):
    """The settings of a library (`catalog.libraries.settings.SETTINGS`), as they are read and as they are written."""

    name = serializers.CharField(max_length=200)
    ratings = serializers.ChoiceField(Library.Ratings.choices)
    file_times = serializers.ChoiceField(
        Library.FileTimes.choices, help_text="What becomes of the time of a file that is written."
    )
    time_zone = ZoneName(validators=[_known_zone])
    scan_every_hours = serializers.ChoiceField(
        Library.ScanEvery.choices, help_text="Hours between the scans of the schedule; 0: none."
    )
    verify_every_days = serializers.ChoiceField(
        Library.VerifyEvery.choices,
        help_text="Days between scans that find edits which kept a file's size and time; 0: none.",
    )
    trash_days = serializers.ChoiceField(
        Library.TrashDays.choices, help_text="Days until the trash's files are deleted; 0: only when asked."
    )
    is_watched = serializers.BooleanField(
        help_text="Changes in the folder start a scan at once. Folders of the server only."
    )


class LibraryBody(LibrarySettings):
    """A library as the user may see it."""

    id = serializers.UUIDField()
    role = serializers.ChoiceField(["owner", "editor", "viewer"], help_text="What one may do there.")
    owner = serializers.CharField(help_text="The owner's user name.")
    root = serializers.CharField(  # type: ignore[assignment]
        allow_null=True, help_text="The folder; only its owner is told."
    )
    source = serializers.CharField()  # type: ignore[assignment]
    photo_count = serializers.IntegerField()
    problem_count = serializers.IntegerField()
    missing_count = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    revision = serializers.IntegerField(help_text="Grows with every change of its photos.")
    snapshot_md5 = serializers.CharField(allow_null=True)
    warning = serializers.CharField()
    stopped = StoppedBody(allow_null=True)
    cover_ids = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    scanned_at = serializers.DateTimeField(allow_null=True)
    verified_at = serializers.DateTimeField(allow_null=True, help_text="The last scan that compared heads.")


def library_json(library: Library, user: User, role: str, last: dict[str, Operation] | None = None) -> dict[str, Any]:
    """Return a library as the API writes it; `last` holds the last scans where they are known already."""
    last = last_scans([library]) if last is None else last
    stopped = stopped_json(library, last.get(library.scan_key), role)
    return {
        "id": str(library.pk),
        "role": role,
        "owner": library.owner.get_username(),
        "root": library.root if role == "owner" else None,
        "source": library.source,
        **{name: getattr(library, name) for name in (*SETTINGS, *_FIGURES)},
        "snapshot_md5": library.snapshot_md5 or None,
        "warning": told(library, user, library.warning),
        "stopped": {**stopped, "at": utc_text(stopped["at"])} if stopped else None,
        "cover_ids": library.cover_ids,
        "created_at": utc_text(library.created_at),
        "scanned_at": utc_text(library.scanned_at),
        "verified_at": utc_text(library.verified_at),
    }
