"""When photos were taken: say it for one or many, see beforehand what that means."""

from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.edits import dates
from catalog.edits.dates import file_all
from catalog.files import filing
from catalog.media.dates import Stamp, parse_offset
from catalog.models import Photo
from operations.api.idempotency import KEYED, idempotent
from photolala.web.bulk import BulkBody, bulk_answer
from photolala.web.refusals import BadRequest
from photolala.web.views import ApiView, RequestBody, documented

HOWS = ("set", "shift", "spread")
LONGEST = 40
OFFSET = r"^([+-](0[0-9]|1[0-4]):[0-5][0-9]|Z)$"


@extend_schema_field(
    {"type": "string", "format": "wall-clock", "maxLength": LONGEST, "example": "2024-05-17T12:30:00+02:00"}
)
class WallClock(serializers.Field[Any, Any, Any, Any]):
    """A wall clock's time, with an offset if it is known: `2024-05-17T12:30:00`, `2024-05-17T12:30:00+02:00`."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("help_text", "2024-05-17T12:30:00, with +02:00 or Z at the end if that is known.")
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Any:
        """Return a `Stamp`, its time without zone."""
        try:
            moment = datetime.fromisoformat(data if len(data) <= LONGEST else "")
        except (ValueError, TypeError):
            raise serializers.ValidationError(
                "Write it as 2024-05-17T12:30:00, with +02:00 if that is known."
            ) from None
        offset = moment.utcoffset()
        minutes = None if offset is None else int(offset.total_seconds() // 60)
        if minutes is not None and abs(minutes) > 15 * 60:
            raise serializers.ValidationError("No place on earth has that offset.")
        return Stamp(moment.replace(tzinfo=None, microsecond=0), minutes)

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "string", "pattern": OFFSET, "example": "+02:00"})
class Offset(serializers.Field[Any, Any, Any, Any]):
    """Minutes east of UTC, written `+05:45`."""

    def to_internal_value(self, data: Any) -> Any:
        minutes = parse_offset(data[:10]) if isinstance(data, str) else None
        if minutes is None:
            raise serializers.ValidationError("Write an offset as +02:00.")
        return minutes

    def to_representation(self, value: Any) -> Any:
        return value


class DatesBody(RequestBody):
    """What is to be done with the dates of these photos."""

    photo_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=dates.MOST_AT_ONCE)
    how = serializers.ChoiceField(HOWS)
    taken_at = WallClock(required=False, help_text="set: the date; spread: the first one.")
    last = WallClock(required=False, help_text="spread: the last one.")
    seconds = serializers.IntegerField(
        required=False, min_value=-(10**11), max_value=10**11, help_text="shift: by how much, to the past if negative."
    )
    offset = Offset(required=False, allow_null=True, help_text="shift: `+02:00` is said to be theirs.")
    file_into = serializers.ChoiceField(
        filing.LAYOUTS, required=False, help_text="Then move the files into the folders of their new dates."
    )
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Only say what would be.")


class PlannedBody(serializers.Serializer[Any]):
    """One photo's date before and after."""

    photo_id = serializers.UUIDField()
    before = serializers.CharField(help_text="Empty for none.")
    after = serializers.CharField(help_text="Empty if there is a problem.")
    problem = serializers.CharField()


@extend_schema_serializer(deprecate_fields=["changed", "problem_count"])
class DatesAnswer(BulkBody):
    """What is planned, and what was done of it: nothing for a dry run."""

    changed = serializers.IntegerField(help_text="The former name of `success_count`.")
    problem_count = serializers.IntegerField(help_text="The former name of `error_count`.")
    photos = PlannedBody(many=True, help_text="In the order in which a spread goes through them.")


class PhotoDates(ApiView):
    """Set or shift the dates of many photos."""

    @documented(
        "photos_dates",
        f"Set one date, move the dates of many, or spread them evenly: of up to {dates.MOST_AT_ONCE:,} photos that one may "
        "change. They go into the files as the library's setting says, and can be taken back photo by photo.",
        {200: DatesAnswer},
        errors=(400, 401, 403, 409, 415, 422, 429),
        request=DatesBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        """Do it, or say what would be."""
        body = DatesBody(data=request.data)
        body.is_valid(raise_exception=True)
        wish = _wish(body.validated_data)
        ids: list[UUID] = list(dict.fromkeys(body.validated_data["photo_ids"]))
        photos = list(Photo.objects.editable_by(request.user).filter(pk__in=ids).select_related("library"))
        planned = dates.plan(photos, wish)
        changed = 0
        if not body.validated_data["dry_run"]:
            changed = dates.set_dates(request.user, planned)
            if changed < sum(not one.problem for one in planned):  # a scan found their rows to be other photos'
                there = set(Photo.objects.filter(pk__in=ids).values_list("pk", flat=True))
                planned = [one for one in planned if one.photo.pk in there]
            if layout := body.validated_data.get("file_into"):
                file_all(request.user, planned, layout)
        found = {one.photo.pk for one in planned}
        rows = [
            {
                "photo_id": str(one.photo.pk),
                "before": one.photo.taken_text,
                "after": one.after_text,
                "problem": one.problem,
            }
            for one in planned
        ]
        rows += [
            {"photo_id": str(key), "before": "", "after": "", "problem": "There is no such photo that you may change."}
            for key in ids
            if key not in found
        ]
        errors = [{"id": row["photo_id"], "error": row["problem"]} for row in rows if row["problem"]]
        return Response(bulk_answer(changed, errors, changed=changed, problem_count=len(errors), photos=rows))


def _wish(wanted: dict[str, Any]) -> dates.Wish:
    """Return what is wished, or raise BadRequest for what is missing."""
    first, last, seconds = wanted.get("taken_at"), wanted.get("last"), wanted.get("seconds")
    if wanted["how"] == "set":
        if first is None:
            raise BadRequest("Say the date: `taken_at`.", "missing")
        return dates.Setting(first.local, first.offset_minutes)
    if wanted["how"] == "shift":
        if seconds is None and "offset" not in wanted:
            raise BadRequest("Say by how much: `seconds`, or which `offset` is theirs.", "missing")
        return dates.Shift(seconds or 0, "offset" in wanted, wanted.get("offset"))
    if first is None or last is None or last.local < first.local:
        raise BadRequest("Say the first date, `taken_at`, and the `last` one, which must not be earlier.", "missing")
    return dates.Spread(first.local, last.local, first.offset_minutes)


__all__ = ["PhotoDates", "WallClock"]
