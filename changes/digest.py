"""Whether a copy is the same as what is here: a count and a sum for each type, whatever the order."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from changes.models import Shown
from changes.reading import home_rows
from changes.scopes import number
from changes.types import Kind, kinds_of, shown_kinds_of

_MODULUS = 1 << 64
_CHUNK = 5000


@dataclass(frozen=True)
class Sum:
    """How many things of a type there are, and the sum modulo 2**64 of the first 8 bytes (big endian) of
    MD5("type:id:version") of each."""

    count: int
    sum: int


@dataclass(frozen=True)
class Digest:
    """What a copy must be equal to whose cursor stands at `version`. If it is not settled, something is being changed just
    now: compare again later."""

    version: int
    is_settled: bool
    types: dict[str, Sum]


def digest(scope: str) -> Digest:
    """Return count and sum of each type in `scope`; what is in the trash is not there. Reads keys and numbers only."""
    counter = number(scope)
    while not counter.is_complete:
        counter = number(scope)
    is_settled, types = True, {}
    for kind in (*kinds_of(scope), *shown_kinds_of(scope)):
        types[kind.name], is_its = _sum_of(kind, scope, counter.version)
        is_settled = is_settled and is_its
    return Digest(counter.version, is_settled, types)


def sum_of(kind: str, things: Iterable[tuple[uuid.UUID, int]]) -> Sum:
    """Return count and sum of things (id and version) of a type."""
    count = total = 0
    for key, version in things:
        count += 1
        total += int.from_bytes(hashlib.md5(f"{kind}:{key}:{version}".encode(), usedforsecurity=False).digest()[:8])
    return Sum(count, total % _MODULUS)


def _sum_of(kind: Kind, scope: str, version: int) -> tuple[Sum, bool]:
    """Return the sum of what is numbered up to `version`, and whether that is all."""
    is_settled = True

    def settled(things: Iterable[tuple[uuid.UUID, int | None]]) -> Iterator[tuple[uuid.UUID, int]]:
        nonlocal is_settled
        for key, own in things:
            if own is None or own > version:
                is_settled = False
            if own is not None:
                yield key, own

    found = sum_of(kind.name, settled(_numbers(kind, scope)))
    return found, is_settled


def _numbers(kind: Kind, scope: str) -> Iterator[tuple[uuid.UUID, int | None]]:
    if kind.scope == scope.partition(":")[0]:
        rows = home_rows(scope, kind).filter(kind.live).order_by().values_list("version", *kind.key_columns)
        for own, *key in rows.iterator(chunk_size=_CHUNK):
            yield kind.key(*key), own
        return
    shown = Shown.objects.filter(scope=scope, kind=kind.name)
    numbers = dict(shown.values_list("object_id", "version"))
    live = kind.model._base_manager.filter(kind.live, pk__in=shown.values("object_id")).order_by()
    for key in live.values_list("pk", flat=True).iterator(chunk_size=_CHUNK):
        yield key, numbers.get(key)
