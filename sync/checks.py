"""System checks: resolvers that the settings name must be there, for fields that are there."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from changes.types import kinds


@register
def resolvers_are_known(**_: Any) -> list[CheckMessage]:
    """Return an error for every pair of PHOTOLALA_SYNC_RESOLVERS that means nothing."""
    if not settings.SYNC_RESOLVERS:
        return []
    from sync.protocol.resolvers import resolver_named  # here, so that commands start without the protocol

    fields = {f"{kind.name}.{field.name}" for kind in kinds() for field in kind.fields if field.writable}
    errors: list[CheckMessage] = []
    for name, resolver in settings.SYNC_RESOLVERS.items():
        if name not in fields:
            errors.append(
                Error(
                    f"PHOTOLALA_SYNC_RESOLVERS: there is no field {name}.",
                    hint=f"Fields: {', '.join(sorted(fields))}.",
                    id="sync.E001",
                )
            )
        try:
            resolver_named(resolver)
        except ValueError as error:
            errors.append(Error(f"PHOTOLALA_SYNC_RESOLVERS: {error}", id="sync.E002"))
    return errors
