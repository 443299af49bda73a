"""Why a verb changed nothing."""

from changes import types


class Refused(types.Refused):
    """Nothing was changed: `reason` for programs, `detail` for people, `field` where one member of the wish is wrong.

    Reasons: `not_found` (or not one's own to see), `permission_denied` (seen, but not changed), `invalid` (a value),
    `missing_ref` (it names something that is not there, or not to be shared), `id_taken`, `conflict` (in the trash),
    `quota`, `too_many`.
    """

    def __init__(self, reason: str, detail: str, field: str = "") -> None:
        super().__init__(reason, detail)
        self.field = field


def not_found(what: str) -> Refused:
    """Return the refusal of something that is not there, or not for the user to see: nobody can tell which."""
    return Refused("not_found", f"There is no such {what}, or none that you may see. Nothing was changed.")


def forbidden(detail: str) -> Refused:
    """Return the refusal of a change to something that the user may only see."""
    return Refused("permission_denied", f"{detail} Nothing was changed.")


def id_taken() -> Refused:
    """Return the refusal of an id that another thing has."""
    return Refused(
        "id_taken", "This id cannot be used. Make a new UUID and try again. Nothing was changed.", field="id"
    )
