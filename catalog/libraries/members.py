"""Who else may see or change a library."""

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.albums.shown import refresh_library
from catalog.libraries.forget import take_over
from catalog.models import Library, Membership
from catalog.roots.folders import LibraryRefused
from changes import scopes
from operations.models import Operation, State


def set_member(library: Library, user: User, role: str) -> Membership:
    """Let `user` see the library (viewer) or also change its photos (editor). Raises LibraryRefused.

    Who was an editor and is none any more leaves work behind as one who is removed does.
    """
    if role not in Membership.Role.values:
        raise LibraryRefused(f"A member is one of {', '.join(Membership.Role.values)}. Nothing was changed.")
    if user.pk == library.owner_id:
        raise LibraryRefused("The owner of a library needs no membership. Nothing was changed.")
    ends = role != Membership.Role.EDITOR
    with transaction.atomic():
        membership, _ = Membership.objects.update_or_create(library=library, user=user, defaults={"role": role})
        scopes.begin_for(scopes.scope_name("library", library.pk), [user])
        if ends:
            take_over(library, user)
            _end_rights(library, user)
        refresh_library(library, user)
    return membership


def remove_member(library: Library, user: User) -> bool:
    """Take the membership away; return whether there was one. The member's own favourites stay, unseen.

    What the member was told is done is finished in the owner's name (`forget`).
    """
    with transaction.atomic():
        removed, _ = Membership.objects.filter(library=library, user=user).delete()
        if removed:
            scopes.end_for(scopes.scope_name("library", library.pk), [user])
            take_over(library, user)
            _end_rights(library, user)
            refresh_library(library, user)
    return bool(removed)


def _end_rights(library: Library, user: User) -> None:
    """Stop the scans of `library` that `user` started, for good: who may scan no longer must not resume one either.

    So ends what would delete for good; nothing that waits is lost by that.
    """
    keys = [library.scan_key, f"trash:{library.pk}"]
    theirs = Operation.objects.filter(active_key__in=keys, owner=user).exclude(state=State.COMPLETED)
    theirs.filter(state=State.PENDING).update(state=State.CANCELLED, finished_at=timezone.now())
    theirs.filter(state=State.RUNNING).update(cancel_requested=True)
    theirs.update(superseded=True)


def role_of(library: Library, user: User) -> str:
    """Return `owner`, `editor`, `viewer`, or "" for who may not see it. At most one query."""
    if library.owner_id == user.pk:
        return "owner"
    return Membership.objects.filter(library=library, user=user).values_list("role", flat=True).first() or ""
