"""Order: parents before what refers to them, and which things a thing refers to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from .values import JsonObject

Parents = Mapping[str, Sequence[str]]
"""Kind -> the kinds that its things may refer to."""
T = TypeVar("T")


def depths(parents: Parents) -> dict[str, int]:
    """Return how many generations stand above each kind; ValueError if kinds are their own ancestors."""
    found: dict[str, int] = {}

    def depth(kind: str, below: tuple[str, ...]) -> int:
        if kind in below:
            raise ValueError(f"Kinds refer to each other in a circle: {' -> '.join((*below, kind))}.")
        if kind not in found:
            found[kind] = max((depth(parent, (*below, kind)) + 1 for parent in parents.get(kind, ())), default=0)
        return found[kind]

    for kind in parents:
        depth(kind, ())
    return found


def parents_first(items: Iterable[T], kind_of: Callable[[T], str], parents: Parents) -> list[T]:
    """Return `items` with those of parent kinds first; within a generation they keep their order."""
    generations = depths(parents)
    return sorted(items, key=lambda item: generations.get(kind_of(item), 0))


def references(kind: str, data: JsonObject, parents: Parents) -> list[tuple[str, str]]:
    """Return (kind, id) of the things that `data` refers to.

    A reference to kind `album` is a field `albumId`, or `targetId` beside a `targetType` of that kind.
    """
    found = []
    for parent in parents.get(kind, ()):
        direct = data.get(f"{parent}Id")
        if isinstance(direct, str):
            found.append((parent, direct))
        target = data.get("targetId")
        if data.get("targetType") == parent and isinstance(target, str):
            found.append((parent, target))
    return found
