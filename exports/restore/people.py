"""As whom a backup is restored: one's own as oneself; everything as all the people that it names."""

from dataclasses import dataclass, field
from uuid import UUID

from accounts.models import User
from exports.restore.check import Checked
from exports.restore.photos import Finder
from exports.restore.refusals import RestoreRefused
from exports.restore.report import Report


@dataclass
class People:
    """The users here by the names that the backup has for them; in a person's backup only the one who restores it."""

    by_name: dict[str, User] = field(default_factory=dict)
    _finders: dict[UUID, Finder] = field(default_factory=dict)

    def get(self, name: str | None) -> User | None:
        """Return who is restored under this name of the backup; None for everybody else."""
        return self.by_name.get(name or "")

    def finder_of(self, user: User) -> Finder:
        """Return what finds the photos that this person sees."""
        if user.pk not in self._finders:
            self._finders[user.pk] = Finder(user)
        return self._finders[user.pk]

    def forget_finders(self) -> None:
        """Look for the libraries that people see anew: some were added."""
        self._finders.clear()


@dataclass
class Restoring:
    """A restore under way: what is read, in which mode, for whom, and whether anything is written at all."""

    checked: Checked
    mode: str
    people: People
    report: Report
    applies: bool


def people_of(checked: Checked, user: User) -> People:
    """Return who is restored when `user` restores this backup. Raises RestoreRefused for what only administrators restore."""
    if checked.is_of_server:
        if not user.is_superuser:
            raise RestoreRefused(
                "This is a backup of a whole server: its administrator restores it, each person their own backup.",
                "not_yours",
            )
        return People()
    name = checked.metadata.get("username") or user.get_username()
    return People({name: user})
