"""Bring the index of words up to date with what the database's triggers noted (catalog.words.tables)."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from django.db import InternalError, OperationalError, connection, transaction

from catalog.models import Album, Note, Photo, SearchKind, SearchQueue, SearchText

from . import facets, tables
from .folding import MOST_WORDS, fold, runs_within

logger = logging.getLogger(__name__)
BATCH = 500
LONGEST_WAIT_MS = 500
"""As long whoever searches waits for another's transaction, on SQLite."""
BEFORE_A_SEARCH = 2
"""Batches that whoever searches takes care of; more wait for the schedule."""
PLAIN, FOLDER, KEYWORD, CAMERA, LENS = "", "¥", "¤", "¢", "£"
MARKS = (PLAIN, FOLDER, KEYWORD, CAMERA, LENS)
"""What stands before each word of a field: no letter or digit, so that no folded word begins with it."""
_BETWEEN_FIELDS = "|"
_LOCK = 0x70686F746F776F72
Row = Sequence[Any]


class Text(NamedTuple):
    """What is kept of an object; of albums and notes the text alone."""

    text: str
    library_id: UUID | None = None
    day: int | None = None


def catch_up(batches: int = BEFORE_A_SEARCH, *, waits: bool = False) -> int:
    """Index what changed last, at most so many batches of BATCH; return how many objects that were.

    While another process does a batch, nothing is done unless `waits`. What others write meanwhile comes later.
    """
    done = 0
    for _ in range(batches):
        if not SearchQueue.objects.exists():
            break
        with transaction.atomic():
            count = _index_batch() if _is_alone(waits=waits) else 0
        done += count
        if not count:
            break
    return done


def catch_up_before_a_search() -> None:
    """Index what changed last, if the database can be written to now: else the search finds what is indexed already."""
    try:
        with _short_wait():
            catch_up()
    except (OperationalError, InternalError) as error:  # locked by a long transaction, read-only, or the disk is full
        logger.warning("The words of what changed last cannot be indexed now: %s", error)


def catch_up_with_all(keepalive: Callable[[], object]) -> int:
    """Index all that changed until now, in turn with others; `keepalive` is called after each batch. Returns how many objects."""
    with transaction.atomic():
        if _is_alone(waits=True):
            _drop_repeated()
    done = 0
    while count := catch_up(1, waits=True):
        done += count
        keepalive()
    return done


def is_behind() -> bool:
    """Return whether more waits than a search catches up with: what it finds may be incomplete."""
    return SearchQueue.objects.order_by()[BEFORE_A_SEARCH * BATCH : BEFORE_A_SEARCH * BATCH + 1].exists()


def photo_text(row: Row) -> str:
    """Return the text of a photo: (directory, filename, caption, keywords, camera_make, camera_model, lens_model)."""
    directory, filename, caption, keywords, make, model, lens = row
    name = fold(filename)
    fields = [(PLAIN, name), (PLAIN, runs_within(name)), (PLAIN, fold(caption)), (FOLDER, fold(directory))]
    if isinstance(keywords, list):
        fields += [(KEYWORD, fold(keyword)) for keyword in keywords if isinstance(keyword, str)]
    return _join([*fields, (CAMERA, fold(f"{make} {model}")), (LENS, fold(lens))])


def _join(fields: Iterable[tuple[str, list[str]]]) -> str:
    words: list[str] = []
    for mark, field in fields:
        if field:
            words += [_BETWEEN_FIELDS, *(mark + word for word in field)] if words else [mark + word for word in field]
    return f" {' '.join(islice(words, MOST_WORDS))} "


def _is_alone(*, waits: bool) -> bool:
    """Two that read and write the same texts could leave the older one. On SQLite a transaction is alone."""
    if connection.vendor == "sqlite":
        return True
    with connection.cursor() as cursor:
        if waits:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


@contextmanager
def _short_wait() -> Iterator[None]:
    if connection.vendor != "sqlite":
        yield  # nobody is waited for
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        usual = int(cursor.fetchone()[0])
        cursor.execute(f"PRAGMA busy_timeout = {min(usual, LONGEST_WAIT_MS)}")
        try:
            yield
        finally:  # by the driver itself: nothing around Django's cursors may keep the connection from it
            connection.connection.execute(f"PRAGMA busy_timeout = {usual}")


def _drop_repeated() -> None:
    """Leave the last note of each object: a scan's survey and digest note each photo, and one look at it is enough.

    Numbered in one pass: PostgreSQL would compare each note with each by NOT IN once their hashes exceed its memory.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {tables.QUEUE} WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "  # noqa: S608
            f"(PARTITION BY kind, object_id ORDER BY id DESC) AS place FROM {tables.QUEUE}) AS noted WHERE place > 1)"
        )


def _index_batch() -> int:
    """Index the oldest of the queue. What is noted is read before what it tells of: nothing newer is missed."""
    noted = list(SearchQueue.objects.order_by("pk").values_list("pk", "kind", "object_id")[:BATCH])
    keys: dict[str, set[UUID]] = {kind: set() for kind in SearchKind.values}
    for _, kind, key in noted:
        keys[kind].add(key)
    for kind, wanted in keys.items():
        if wanted:
            _write(kind, wanted, _TEXTS[kind](wanted))
    SearchQueue.objects.filter(pk__in=[pk for pk, _, _ in noted]).delete()
    return len(noted)


def _write(kind: str, keys: Collection[UUID], texts: dict[UUID, Text]) -> None:
    columns = ("object_id", "pk", "text", "library_id", "day")
    rows = SearchText.objects.filter(kind=kind, object_id__in=keys).values_list(*columns)
    known = {key: (pk, Text(*text)) for key, pk, *text in rows}
    gone = [pk for key, (pk, _) in known.items() if key not in texts]
    if gone:
        SearchText.objects.filter(pk__in=gone).delete()
    as_kept = partial(SearchText._meta.get_field("object_id").get_db_prep_save, connection=connection)
    new, changed = [], []
    for key, text in texts.items():
        values = (text.text, as_kept(text.library_id), text.day)
        if key not in known:
            new.append((kind, as_kept(key), *values))
        elif known[key][1] != text:
            changed.append((*values, known[key][0]))
    with connection.cursor() as cursor:  # bulk_create costs as much again as the index itself
        if new:
            names = "kind, object_id, text, library_id, day"
            cursor.executemany(f"INSERT INTO {tables.TEXTS} ({names}) VALUES (%s, %s, %s, %s, %s)", new)  # noqa: S608
        if changed:
            names = "text = %s, library_id = %s, day = %s"
            cursor.executemany(f"UPDATE {tables.TEXTS} SET {names} WHERE id = %s", changed)  # noqa: S608


def _photos(keys: Collection[UUID]) -> dict[UUID, Text]:
    rows = list(Photo.objects.filter(pk__in=keys).order_by().values_list(*tables.PHOTO_COLUMNS))
    facets.add((library, words) for _, library, _, _, *words in rows)
    return {
        key: Text(photo_text(words), library, day if is_shown else None) for key, library, day, is_shown, *words in rows
    }


def _albums(keys: Collection[UUID]) -> dict[UUID, Text]:
    rows = Album.objects.filter(pk__in=keys).order_by().values_list("pk", "title", "description")
    return {pk: Text(_join([(PLAIN, fold(title)), (PLAIN, fold(text))])) for pk, title, text in rows}


def _notes(keys: Collection[UUID]) -> dict[UUID, Text]:
    rows = Note.objects.filter(pk__in=keys).order_by().values_list("pk", "content", "caption")
    return {pk: Text(_join([(PLAIN, fold(content)), (PLAIN, fold(caption))])) for pk, content, caption in rows}


_TEXTS: dict[str, Callable[[Collection[UUID]], dict[UUID, Text]]] = {
    SearchKind.PHOTO: _photos,
    SearchKind.ALBUM: _albums,
    SearchKind.NOTE: _notes,
}
