"""Albums that are a saved search: `{"q": "beach rome"}` instead of items. What it finds is asked whenever somebody looks.

Such an album is its owner's alone: a search finds something else for everybody.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from catalog.albums import values
from catalog.albums.refusals import Refused
from catalog.models import Album
from catalog.searching import grammar

MEMBER = "q"
_text = values.text(grammar.LONGEST_QUERY, least=1)


def read_query(value: Any, name: str) -> dict[str, str] | None:
    """Return a saved search as it is kept, None for none. Raises Refused("invalid") for what cannot be understood."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {MEMBER}:
        raise values.invalid(name, f'{name} is null, or a search as {{"{MEMBER}": "beach rome"}}.')
    text = _text(value[MEMBER], name).strip()
    try:
        if grammar.parse(text) in (None, grammar.NOTHING):
            raise values.invalid(name, "The search must not be empty.")
    except grammar.QueryError as error:
        raise values.invalid(name, str(error)) from None
    return {MEMBER: text}


def text_of(album: Album) -> str:
    """Return what an album searches for, "" for an album of items."""
    return str(album.query.get(MEMBER, "")) if isinstance(album.query, dict) else ""


def saved_search(user: Any, album_id: UUID) -> str:
    """Return what an album of `user` searches for; "" for an album of items, and for one that they do not see. One query."""
    album = Album.objects.visible_to(user).filter(pk=album_id, query__isnull=False).first()
    return "" if album is None else text_of(album)


def refuse_if_smart(album: Album) -> None:
    """Raise Refused for an album that holds nothing itself."""
    if album.query is not None:
        raise Refused(
            "invalid",
            "This album is a saved search: it shows what that finds, takes nothing, and cannot be shared. Nothing was changed.",
            field="query",
        )


def refuse_if_it_holds_something(album: Album) -> None:
    """Raise Refused for an album that cannot become a saved search: it has items (also removed ones), or members."""
    if album.items.exists() or album.memberships.exists():
        raise Refused(
            "invalid",
            "An album that holds something, or is shared, cannot become a saved search: make a new one. Nothing was changed.",
            field="query",
        )
