"""How the devices of a person stand, in words: for the page of sync and the profile."""

from collections.abc import Mapping
from typing import Any

from django import template

from sync.server.status import status_of

register = template.Library()
KINDS = {
    "photo": ("photo", "photos"),
    "favourite": ("star", "stars"),
    "album": ("album", "albums"),
    "albumItem": ("thing in an album", "things in albums"),
    "note": ("note", "notes"),
    "draft": ("draft", "drafts"),
    "library": ("library", "libraries"),
    "media": ("file", "files"),
}


@register.inclusion_tag("sync/_devices.html")
def devices_that_sync(user: Any) -> dict[str, Any]:
    """Show what waits for each device that ever pushed or pulled, when it did so last, and what was refused. Eight queries and
    some for each device that is behind."""
    return {"devices": [one for one in status_of(user) if one.has_synced]}


@register.filter
def kind_words(kind: str) -> str:
    """Return a kind of things as people name one of them."""
    return KINDS.get(kind, (kind, ""))[0]


@register.filter
def in_words(counts: Mapping[str, int]) -> str:
    """Return counts by kind as people say them: “3 notes, 1 album”; “nothing” for none."""
    said = []
    for kind, count in sorted(counts.items()):
        one, many = KINDS.get(kind, (kind, kind))
        said.append(f"{count:,} {one if count == 1 else many}")
    return ", ".join(said) or "nothing"
