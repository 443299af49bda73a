"""Digest: count and sum of all things of a kind in a scope, the same in whatever order they are added.

Two stores with equal digests at the same version of a scope hold the same things in the same versions.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

_MODULUS = 2**64


def hash_of(kind: str, id: str, version: int) -> int:
    """Return the number that one thing adds: the first 8 bytes, big-endian, of the MD5 of "kind:id:version"."""
    return int.from_bytes(hashlib.md5(f"{kind}:{id}:{version}".encode()).digest()[:8], "big")


@dataclass(frozen=True)
class KindDigest:
    """Things of one kind: how many, and the sum of their hashes modulo 2^64."""

    count: int = 0
    total: int = 0

    def added(self, kind: str, id: str, version: int) -> "KindDigest":
        """Return the digest with one more thing."""
        return KindDigest(self.count + 1, (self.total + hash_of(kind, id, version)) % _MODULUS)

    def removed(self, kind: str, id: str, version: int) -> "KindDigest":
        """Return the digest with one thing less."""
        return KindDigest(self.count - 1, (self.total - hash_of(kind, id, version)) % _MODULUS)


def digest_of(things: Iterable[tuple[str, str, int]]) -> dict[str, KindDigest]:
    """Return the digest of each kind over (kind, id, version) of all things that exist. Memory: one number a kind."""
    counts: dict[str, int] = {}
    totals: dict[str, int] = {}
    for kind, id, version in things:
        counts[kind] = counts.get(kind, 0) + 1
        totals[kind] = (totals.get(kind, 0) + hash_of(kind, id, version)) % _MODULUS
    return {kind: KindDigest(counts[kind], totals[kind]) for kind in counts}
