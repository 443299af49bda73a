"""Look for similar pictures among all that a person sees, and keep the groups until they ask again."""

from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.duplicates.similar import KIND, comparable
from catalog.duplicates.similar_groups import COMPARISONS, groups_of
from catalog.media.look import NO_LOOK
from catalog.models import Library, Photo, SimilarGroup
from catalog.sources.kinds import RAW_EXTENSIONS, extension_of
from operations.kinds import operation_kind
from operations.running import LeaseLost, Run

MOST_GROUPS = 20_000
MOST_PICTURES = 50
"""So many of a group are kept; the others are found when these were seen to and a person asks again."""
AT_ONCE = 200
"""Groups whose photos are looked up together."""
_MOST_READ = 250
_LARGEST_RATIO = 1.25
"""Pictures whose proportions differ by more are no versions of one."""
_COLUMNS = ("id", "library_id", "directory", "filename", "photo_md5", "width", "height", "size_bytes")
Facts = dict[str, Any]


@operation_kind(KIND, label="Looking for similar pictures", queue="files", starts_over=True)
def run_finding(run: Run) -> dict[str, Any]:
    """Find the groups and put them in the place of the person's earlier ones. Safe to run again."""
    user = run.owner
    run.phase("Reading what pictures look like", comparable(user).count(), unit="pictures")
    looks, ids = _read(run, user)
    run.phase("Comparing pictures", len(looks), unit="pictures")
    keepalive = partial(run.checkpoint, force=False, is_lasting=False)

    def compared() -> None:
        run.advance(len(looks) // COMPARISONS)
        keepalive()

    changeable = set(Library.objects.editable_by(user).values_list("pk", flat=True))
    groups: list[SimilarGroup] = []
    waiting: list[tuple[int, list[UUID]]] = []
    for look, positions in groups_of(looks, tick=compared):
        waiting.append(
            (look, [UUID(bytes=bytes(ids[at * 16 : at * 16 + 16])) for at in positions[:_MOST_READ].tolist()])
        )
        if len(waiting) >= AT_ONCE:
            groups += _sifted(user, waiting, changeable)
            waiting = []
            keepalive()
        if len(groups) >= MOST_GROUPS:
            break
    groups = [*groups, *_sifted(user, waiting, changeable)][:MOST_GROUPS]
    for number, group in enumerate(groups, 1):
        group.number = number
    run.checkpoint()
    with transaction.atomic():
        SimilarGroup.objects.filter(user=user).delete()
        SimilarGroup.objects.bulk_create(groups, batch_size=500)
        if not run.still_mine():
            raise LeaseLost
    return {"compared": len(looks), "groups": len(groups), "pictures": sum(len(group.photos) for group in groups)}


def _read(run: Run, user: User) -> "tuple[array[int], bytearray]":
    """Return the looks of all pictures, and their ids, 16 bytes each, in the same order."""
    looks, ids = array("Q"), bytearray()
    for key, look in comparable(user).order_by().values_list("pk", "look").iterator(chunk_size=5_000):
        looks.append(look or NO_LOOK)
        ids += key.bytes
        if len(looks) % 5_000 == 0:
            run.advance(5_000)
            run.checkpoint(force=False, is_lasting=False)
    return looks, ids


def _sifted(user: User, found: Sequence[tuple[int, list[UUID]]], changeable: set[Any]) -> Iterator[SimilarGroup]:
    """Yield what is left of groups without equal files, RAWs beside their JPEGs, and pictures of other proportions."""
    facts: dict[UUID, Facts] = {}
    wanted = [key for _, keys in found for key in keys]
    for first in range(0, len(wanted), 1_000):
        rows = Photo.objects.filter(pk__in=wanted[first : first + 1_000]).values(*_COLUMNS)
        facts |= {row["id"]: row for row in rows}
    for look, keys in found:
        pictures = sorted((facts[key] for key in keys if key in facts), key=lambda one: _place(one, changeable))
        firsts: dict[str, Facts] = {}
        for one in pictures:
            firsts.setdefault(one["photo_md5"], one)
        pictures = _without_raws(list(firsts.values()))
        pictures = [one for one in pictures if _are_as_wide(one, pictures[0])]
        if len(pictures) > 1:
            yield SimilarGroup(user=user, look=look, photos=[str(one["id"]) for one in pictures[:MOST_PICTURES]])


def _place(one: Facts, changeable: set[Any]) -> tuple[Any, ...]:
    """Largest picture first; of equal ones that which the person may change, then the larger file."""
    pixels = (one["width"] or 0) * (one["height"] or 0)
    return -pixels, one["library_id"] not in changeable, -one["size_bytes"], str(one["id"])


def _without_raws(pictures: list[Facts]) -> list[Facts]:
    """Return the pictures without the RAWs that lie beside a JPEG of theirs: such are a pair, of which one is enough."""
    plain = {_stem(one) for one in pictures if not _is_raw(one)}
    return [one for one in pictures if not _is_raw(one) or _stem(one) not in plain]


def _stem(one: Facts) -> tuple[Any, ...]:
    return one["library_id"], one["directory"], one["filename"].rpartition(".")[0].casefold()


def _is_raw(one: Facts) -> bool:
    return extension_of(one["filename"]) in RAW_EXTENSIONS


def _are_as_wide(one: Facts, other: Facts) -> bool:
    if not (one["width"] and one["height"] and other["width"] and other["height"]):
        return True
    ratio = one["width"] * other["height"] / (one["height"] * other["width"])
    return 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO
