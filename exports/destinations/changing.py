"""Change what a destination is called, how it names photos, and when exports to it begin by themselves."""

from typing import TypedDict

from django.utils import timezone

from exports.models import ExportDestination

from .naming import check_template


class DestinationChanges(TypedDict, total=False):
    """What may be changed; what is not given stays."""

    name: str
    template: str
    schedule: str
    schedule_hour: int
    schedule_weekday: int
    with_companions: bool


def change_destination(destination: ExportDestination, changes: DestinationChanges) -> None:
    """Change it; what is there already stays where it is. A new schedule counts from now. Raises ExportRefused."""
    if "template" in changes:
        check_template(changes["template"])
    names = [name for name, value in changes.items() if getattr(destination, name) != value]
    for name in names:
        setattr(destination, name, changes[name])  # type: ignore[literal-required]
    if any(name.startswith("schedule") for name in names):
        destination.scheduled_since = timezone.now() if destination.schedule else None
        destination.refusal, destination.refused_at = "", None
        names += ["scheduled_since", "refusal", "refused_at"]
    if names:
        destination.save(update_fields=names)
