"""Checks of a destination: whether its records are whole, and whether its copies are."""

from dataclasses import dataclass

from django.utils import timezone

from accounts.models import User
from exports.destinations.guard import is_behind_link
from exports.destinations.records import ledger_of
from exports.ledger.damage import FoundDamage, dismiss_damage, kept_aside, read_damage
from exports.models import ExportDestination
from exports.refusals import ExportRefused
from operations.models import Operation, State
from operations.running import start


@dataclass(frozen=True, slots=True)
class RecordsCondition:
    """What is wrong with the records of a destination: now, and when exports opened them earlier."""

    record_count: int
    now: FoundDamage | None
    before: list[FoundDamage]
    set_aside: list[str]

    @property
    def is_whole(self) -> bool:
        """True if nothing is known to be wrong."""
        return self.now is None and not self.before


def condition_of(destination: ExportDestination) -> RecordsCondition:
    """Return what is wrong with the destination's records, by their files. LedgerFailed if they cannot be read at all."""
    loaded = ledger_of(destination)
    report, before = loaded.report, read_damage(destination.records_folder)
    now = None
    if report.problems and not (before and before[0].tells(report.problems)):
        date = timezone.now().isoformat(timespec="seconds")
        now = FoundDamage(date, report.problems, report.bad_lines, report.missing_numbers)
    return RecordsCondition(len(loaded.state), now, before, kept_aside(destination.records_folder))


def dismiss(destination: ExportDestination) -> None:
    """Show what was found earlier no more: somebody has read it. It stays in the folder. ExportRefused."""
    if is_behind_link(destination):
        raise ExportRefused("A link is in place of the destination's folder. Nothing was changed.")
    try:
        dismiss_damage(destination.records_folder, timezone.now())
    except OSError as error:
        raise ExportRefused(
            f"The note of the damage cannot be renamed ({error.strerror}). Nothing was changed."
        ) from None


def start_verification(user: User, destination: ExportDestination, *, repair: bool, enqueue: bool = True) -> Operation:
    """Start reading every copy in the destination; `repair` copies bad ones again. AlreadyActive (with the operation)."""
    return start(
        "verify_destination",
        user,
        subject=destination.name,
        active_key=destination.active_key,
        params={"destination": str(destination.pk), "repair": repair},
        enqueue=enqueue,
    )


def last_verification(destination: ExportDestination) -> Operation | None:
    """Return the last check of the destination's copies that came to its end, with its result; None if there was none."""
    checks = Operation.objects.filter(owner=destination.owner_id, kind="verify_destination", state=State.COMPLETED)
    return checks.filter(params__destination=str(destination.pk)).order_by("-created_at").first()
