"""What an export tells of who is in photos, and of how they were kept there, given to the photos as keywords."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from catalog.edits.keywords import add_keywords
from catalog.importing.parts import Parts
from catalog.importing.read_file import ReadFile
from catalog.models import Import, ImportItem, Photo
from photolala.lib.keywords import BadKeyword, tidy_keywords

logger = logging.getLogger(__name__)
HERE = ("same_import", "in_library", "same_picture")
"""Why a file is a duplicate of a photo of the library, other than of one in the trash."""


def give_told(wanted: Import, told: Iterable[tuple[UUID | None, Sequence[str]]]) -> None:
    """Add to photos of the library the keywords that documents tell of them; call it in the transaction that notes these.

    What a photo has is kept. One that would have too many keeps what it has.
    """
    lists: dict[UUID, list[str]] = defaultdict(list)
    for photo_id, words in told:
        if photo_id is not None and words:
            lists[photo_id] = list(dict.fromkeys([*lists[photo_id], *words]))
    here = Photo.objects.filter(library=wanted.library_id, pk__in=list(lists)).exclude(state=Photo.State.MISSING)
    possible = {key: lists[key] for key in here.values_list("pk", flat=True) if _is_possible(lists[key])}
    if possible:
        _, refused = add_keywords(wanted.user, possible)
        for photo_id, reason in refused.items():
            logger.info("The photo %s got no keywords of an export: %s", photo_id, reason)


def give_read(wanted: Import, parts: Parts, read: Iterable[ReadFile | None]) -> None:
    """Give, if that is wished, the photos that files became, or are, what was read beside them; otherwise as `give_told`."""
    if parts.are_people_keywords:
        mine = [one for one in read if one is not None and not one.result.is_trashed and _is_here(one)]
        give_told(wanted, [(one.item.photo, one.result.told_keywords) for one in mine])


def _is_here(one: ReadFile) -> bool:
    return one.facts is not None or (one.item.state == ImportItem.State.DUPLICATE and one.item.code in HERE)


def _is_possible(words: Sequence[str]) -> bool:
    try:
        return bool(tidy_keywords(words))
    except BadKeyword:
        return False
