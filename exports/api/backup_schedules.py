"""How often backups are made, where, and how many of them are kept."""

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.backup.retention import Keep
from exports.backup.schedule import MOST_KEPT, Where, set_schedule
from exports.models import BackupSchedule, Scope
from exports.refusals import ExportRefused
from photolala.web.views import ApiView, RequestBody, documented

from .backups import LONGEST_RECIPIENT, backup_refusal, destination_named


class ScheduleBody(RequestBody):
    """How often backups are made, and of how many days, weeks and months the newest is kept."""

    every_days = serializers.ChoiceField(BackupSchedule.Every.choices, help_text="0: only when asked.")
    keep_daily = serializers.IntegerField(min_value=0, max_value=MOST_KEPT, default=7)
    keep_weekly = serializers.IntegerField(min_value=0, max_value=MOST_KEPT, default=4)
    keep_monthly = serializers.IntegerField(min_value=0, max_value=MOST_KEPT, default=12)
    recipient = serializers.CharField(
        max_length=LONGEST_RECIPIENT,
        required=False,
        allow_blank=True,
        help_text="age's public key to encrypt for; empty: not encrypted. Left out: as it is.",
    )
    destination = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="A destination in a bucket that keeps them; null: this server. Left out: as it is.",
    )


class BackupScheduleView(ApiView):
    """How often backups are made."""

    @documented("backups_schedule", "The schedule of backups of what you made.", {200: ScheduleBody}, errors=(401,))
    def get(self, request: Request) -> Response:
        own = BackupSchedule.objects.visible_to(request.user).filter(scope=Scope.PERSON).first()
        return Response(_schedule_json(own or BackupSchedule()))

    @documented(
        "backups_schedule_update",
        "Say how often they are made and how many are kept. What you ask for yourself stays until you delete it.",
        {200: ScheduleBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=ScheduleBody,
    )
    def put(self, request: Request) -> Response:
        body = ScheduleBody(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        place = Where(destination_named(request, wanted["destination"])) if "destination" in wanted else None
        try:
            schedule = set_schedule(
                request.user,
                Scope.PERSON,
                every_days=wanted["every_days"],
                keep=Keep(wanted["keep_daily"], wanted["keep_weekly"], wanted["keep_monthly"]),
                recipient=wanted.get("recipient"),
                place=place,
            )
        except ExportRefused as refused:
            raise backup_refusal(refused) from None
        return Response(_schedule_json(schedule))


def _schedule_json(schedule: BackupSchedule) -> dict[str, Any]:
    names = ("every_days", "keep_daily", "keep_weekly", "keep_monthly", "recipient")
    destination = str(schedule.destination_id) if schedule.destination_id else None
    return {**{name: getattr(schedule, name) for name in names}, "destination": destination}
