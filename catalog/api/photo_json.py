"""A photo as the API writes it: plain rows to plain dicts, so that a page costs little more than its query."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from catalog.models import Photo
from catalog.models.photo import UNDATED
from photolala.lib.paths import join_path
from photolala.lib.towns import place_name
from photolala.lib.wall_clock import wall_clock_text
from photolala.web.parameters import utc_text

LIST_COLUMNS = (
    "id",
    "library_id",
    "directory",
    "filename",
    "media_type",
    "size_bytes",
    "width",
    "height",
    "duration_ms",
    "taken_at",
    "taken_local",
    "taken_offset_minutes",
    "taken_source",
    "photo_md5",
    "head_md5",
    "rating",
    "caption",
    "state",
    "problem",
    "placeholder",
    "has_thumbnail",
)
DETAIL_COLUMNS = (
    *LIST_COLUMNS,
    "mtime_ns",
    "orientation",
    "notes",
    "keywords",
    "camera_make",
    "camera_model",
    "lens_model",
    "iso",
    "aperture",
    "shutter_speed",
    "focal_length",
    "latitude",
    "longitude",
    "content_identifier",
    "motion_bytes",
    "added_at",
    "missing_since",
)


def photo_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return a list's entry from a row of LIST_COLUMNS and `stars`."""
    stars = row["stars"] or 0
    folder = row["directory"]
    source = row["taken_source"]
    dated = source != "" and row["taken_local"] > UNDATED
    return {
        "id": str(row["id"]),
        "library": str(row["library_id"]),
        "directory": folder,
        "filename": row["filename"],
        "path": join_path(folder, row["filename"]),
        "media_type": row["media_type"],
        "size_bytes": row["size_bytes"],
        "width": row["width"],
        "height": row["height"],
        "duration_ms": row["duration_ms"],
        "taken_at": utc_text(row["taken_at"]) if dated else None,
        "taken_local": local_text(row) if dated else None,
        "taken_source": source,
        "taken_estimated": source == "file",
        "photo_md5": row["photo_md5"] or None,
        "fast_photo_key": f"{row['head_md5']}:{row['size_bytes']}",
        "version": row["photo_md5"][:8],
        "rating": row["rating"],
        "favourite": stars,
        "is_favourite": stars > 0,
        "favorite": stars,
        "favorited": stars > 0,
        "caption": row["caption"],
        "state": row["state"],
        "problem": row["problem"],
        "placeholder": row["placeholder"],
        "thumbnail": row["has_thumbnail"],
    }


def photo_detail_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return all facts of a photo from a row of DETAIL_COLUMNS, `stars` and `can_edit`."""
    return {
        **photo_json(row),
        "can_edit": row["can_edit"],
        "orientation": row["orientation"],
        "notes": row["notes"],
        "keywords": row["keywords"],
        "camera_make": row["camera_make"],
        "camera_model": row["camera_model"],
        "lens_model": row["lens_model"],
        "iso": row["iso"],
        "aperture": row["aperture"],
        "shutter_speed": row["shutter_speed"],
        "focal_length": row["focal_length"],
        "latitude": row["latitude"],
        "longitude": row["longitude"],
        "place_name": place_name(row["latitude"], row["longitude"]),
        "content_identifier": row["content_identifier"],
        "motion": bool(row["motion_bytes"]),
        "added_at": utc_text(row["added_at"]),
        "missing_since": utc_text(row["missing_since"]),
    }


def local_text(row: dict[str, Any]) -> str:
    """Return the wall clock's time as RFC 3339: with the offset if the file knew it, else without."""
    return wall_clock_text(row["taken_local"], row["taken_offset_minutes"])


@extend_schema_serializer(deprecate_fields=["favorite", "favorited"])
class PhotoBody(serializers.Serializer[Any]):
    """One photo or video, as lists have it."""

    id = serializers.UUIDField()
    library = serializers.UUIDField()
    directory = serializers.CharField(help_text="Relative to the library's root; the root itself is the empty text.")
    filename = serializers.CharField()
    path = serializers.CharField()
    media_type = serializers.CharField(help_text="By its bytes, never by its name.")
    size_bytes = serializers.IntegerField()
    width = serializers.IntegerField(allow_null=True, help_text="Upright, in pixels.")
    height = serializers.IntegerField(allow_null=True, help_text="Upright, in pixels.")
    duration_ms = serializers.IntegerField(allow_null=True)
    taken_at = serializers.DateTimeField(allow_null=True, help_text="The instant, in UTC.")
    taken_local = serializers.CharField(
        allow_null=True, help_text="The wall clock; with its offset from UTC if the file knew it."
    )
    taken_source = serializers.CharField(
        help_text="exif, xmp, quicktime, sidecar, iptc, filename, file, person; empty when undated."
    )
    taken_estimated = serializers.BooleanField(help_text="Only the file's own time is known.")
    photo_md5 = serializers.CharField(allow_null=True, help_text="MD5 of the file; null until it is digested.")
    fast_photo_key = serializers.CharField()
    version = serializers.CharField(help_text="For `?v=`: pictures under it may be kept for ever.")
    rating = serializers.IntegerField(allow_null=True, help_text="The photo's own stars.")
    favourite = serializers.IntegerField(help_text="One's own stars, 0 to 5.")
    is_favourite = serializers.BooleanField()
    favorite = serializers.IntegerField(help_text="The former name of `favourite`.")
    favorited = serializers.BooleanField(help_text="The former name of `is_favourite`.")
    caption = serializers.CharField()
    state = serializers.ChoiceField(Photo.State.choices)
    problem = serializers.CharField(help_text="Why it is damaged, broken or missing; else empty.")
    placeholder = serializers.CharField(help_text="Average colour, #rrggbb, or empty.")
    thumbnail = serializers.BooleanField(help_text="Whether a thumbnail is made already.")


@extend_schema_serializer(deprecate_fields=["favorite", "favorited"])
class PhotoDetailBody(PhotoBody):
    """All facts of one photo or video."""

    can_edit = serializers.BooleanField(
        help_text="One may change the photo itself: its rating, date, caption, keywords, place."
    )
    orientation = serializers.IntegerField(help_text="The file's own EXIF value.")
    notes = serializers.ListField(child=serializers.CharField(), help_text="What was odd in the file.")
    keywords = serializers.ListField(child=serializers.CharField())
    camera_make = serializers.CharField()
    camera_model = serializers.CharField()
    lens_model = serializers.CharField()
    iso = serializers.IntegerField(allow_null=True)
    aperture = serializers.FloatField(allow_null=True)
    shutter_speed = serializers.CharField(help_text='Seconds, such as "1/250".')
    focal_length = serializers.FloatField(allow_null=True, help_text="Millimetres.")
    latitude = serializers.FloatField(allow_null=True)
    longitude = serializers.FloatField(allow_null=True)
    place_name = serializers.CharField(
        help_text="The town there, or near there, and its country; empty where none is near, or no position is known."
    )
    content_identifier = serializers.CharField(help_text="What picture and video of one Live Photo share.")
    motion = serializers.BooleanField(help_text="A short video is in the picture's file: `photos/{id}/motion/`.")
    added_at = serializers.DateTimeField()
    missing_since = serializers.DateTimeField(allow_null=True)
