"""The people of a backup of the whole server: made where they are missing, left as they are where they are here."""

from uuid import UUID

from accounts.models import User
from accounts.restored import UserRefused, restore_user
from exports.bundle import layout
from exports.restore.people import Restoring
from exports.restore.report import Action, Difference

_OTHER_ID = "Somebody of this name is here, with another id: what the backup has of this person becomes theirs."


def restore_users(work: Restoring) -> None:
    """Compare, and make, all people; the restore goes on as them. In a dry run those to be made are only stand-ins."""
    if not work.checked.is_of_server:
        return
    for batch in work.checked.spool.batches(layout.USERS.name):
        here = {
            user.get_username(): user
            for user in User.objects.filter(username__in=[one["username"] for _, one in batch])
        }
        taken = set(User.objects.filter(pk__in=[key for key, _ in batch]).values_list("pk", flat=True))
        for key, entry in batch:
            name = entry["username"]
            user = here.get(name)
            if user is not None:
                reason = "" if str(user.pk) == key else _OTHER_ID
                work.report.add(
                    Difference("user", key, Action.SAME if not reason else Action.KEEP, name, reason=reason)
                )
            elif UUID(key) in taken:
                reason = "Its id cannot be used here: somebody of another name has it."
                work.report.add(Difference("user", key, Action.LEFT, name, reason=reason))
                continue
            else:
                try:
                    user = restore_user(entry) if work.applies else User(pk=UUID(key), username=name)
                except UserRefused as refused:
                    work.report.add(Difference("user", key, Action.LEFT, name, reason=str(refused)))
                    continue
                work.report.add(Difference("user", key, Action.CREATE, name))
            work.people.by_name[name] = user
