"""Examine the index of words: that the database keeps it, that it is whole, and that nothing is missing in it."""

from collections.abc import Iterator

from catalog.models import Album, Note, Photo, SearchQueue, SearchText
from catalog.words import indexing, tables

from .findings import Finding, note, warning


def examine_search(*, full: bool = False, heal: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with the index of words; with `heal` it is built anew where something is. `full` reads all of it."""
    waiting = SearchQueue.objects.count()
    if tables.are_missing():
        sentence = "The database does not note which words change: searches miss what was added since."
    elif full and not tables.is_whole():
        sentence = "The full-text index is damaged: searches miss photos, or find others."
    elif not waiting and SearchText.objects.count() != sum(model.objects.count() for model in (Photo, Album, Note)):
        sentence = (
            "The words of some photos, albums or notes are not indexed, or those of some that are gone still are."
        )
    else:
        if waiting:
            yield note("search.waiting", f"The words of {waiting:,} photos, albums and notes are still to be indexed.")
        return
    finding = warning("search.index", sentence, "Run `manage.py doctor --heal`: it builds the index anew.")
    if heal:
        tables.build_anew()
        indexing.catch_up_with_all(lambda: None)
        finding.healed = "The index was built anew."
    yield finding
