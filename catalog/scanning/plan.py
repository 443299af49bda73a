"""Totals of a scan's plan, and when too much is gone to believe it. Pure."""

from dataclasses import dataclass

from catalog.entries.folder_comparison import FolderPlan

MOST_GONE_FRACTION = 0.20


@dataclass(slots=True)
class Totals:
    """The sums over all folders."""

    found: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0

    @property
    def known(self) -> int:
        """How many entries the catalog held."""
        return self.changed + self.unchanged + self.gone

    def add(self, plan: FolderPlan) -> None:
        """Count one folder in."""
        self.added += len(plan.added)
        self.changed += len(plan.changed)
        self.gone += len(plan.gone)
        self.unchanged += plan.unchanged
        self.found += len(plan.added) + len(plan.changed) + plan.unchanged


def too_many_gone(gone: int, known: int, probably_moved: int = 0) -> bool:
    """True if so much is gone at once that an unplugged disk is likelier than a tidy owner (architecture, root guard)."""
    return gone - probably_moved > MOST_GONE_FRACTION * known


def under(directory: str, folders: set[str]) -> bool:
    """True if `directory` is one of `folders` or lies below one."""
    if not folders:
        return False
    if directory in folders or "" in folders:
        return True
    at = directory.rfind("/")
    while at > 0:
        if directory[:at] in folders:
            return True
        at = directory.rfind("/", 0, at)
    return False
