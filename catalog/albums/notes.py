"""Notes: write, change, delete, restore."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.albums import attachments, values
from catalog.albums.refusals import id_taken, not_found
from catalog.albums.shown import refresh_note
from catalog.models import Note
from changes import fields as field_states
from changes.types import scope_name
from operations.database_conflicts import retried_on_conflict

LONGEST_CONTENT = 100_000
LONGEST_CAPTION = 10_000
READERS: dict[str, values.Reader] = {
    "type": values.choice(list(Note.Type.values)),
    "content": values.text(LONGEST_CONTENT),
    "caption": values.text(LONGEST_CAPTION),
    "attachments": attachments.read_list,
    "notedAt": values.moment,
    "place": values.place,
}


@retried_on_conflict
def create(user: Any, note_id: UUID, fields: Mapping[str, Any], known: Iterable[attachments.Held] = ()) -> Note:
    """Write a note of `user` with the id that the client chose. Sent again, it changes nothing. Raises Refused.

    Photos that it is `known` to have held, as a backup says, may be elsewhere just now.
    """
    given = values.read(fields, READERS)
    given.setdefault("notedAt", timezone.now())
    return written(user, note_id, given, known)


def written(user: Any, note_id: UUID, given: dict[str, Any], known: Iterable[attachments.Held] = ()) -> Note:
    """Make a note of checked values. Raises Refused."""
    held = given.get("attachments", [])
    try:
        with transaction.atomic():
            there = Note.objects.filter(pk=note_id).first()
            if there is not None:
                if there.owner_id != user.pk:
                    raise id_taken()
                return there
            attachments.check(user, held, known)
            note = Note.objects.create(pk=note_id, owner=user, **_columns(given))
            if held:
                attachments.remember(note, held)
            field_states.touched_in("note", scope_name("user", user.pk), [note.pk], given, user=user.pk)
    except IntegrityError:  # at the same moment by another request
        raise id_taken() from None
    return note


@retried_on_conflict
def patch(user: Any, note_id: UUID, fields: Mapping[str, Any], known: Iterable[attachments.Held] = ()) -> Note:
    """Change some fields of a note of one's own; `known` as in `create`. Raises Refused."""
    given = values.read(fields, READERS)
    with transaction.atomic():
        note = _held(user, note_id, is_trashed=False)
        if "attachments" in given:
            attachments.check(user, given["attachments"], [*note.attachments, *known])
        changed = {name: value for name, value in given.items() if _differs(note, name, value)}
        if changed:
            _write(note, **_columns(changed))
            field_states.touched_in("note", scope_name("user", user.pk), [note.pk], changed, user=user.pk)
        if "attachments" in changed:
            before = attachments.photos_of(note)
            attachments.remember(note, note.attachments)
            refresh_note(note, before)
    return note


@retried_on_conflict
def delete(user: Any, note_id: UUID) -> Note:
    """Move a note of one's own to the trash, for 30 days; no album shows it meanwhile. Raises Refused."""
    with transaction.atomic():
        note = _held(user, note_id)
        if note.trashed_at is None:
            _write(note, trashed_at=timezone.now())
            refresh_note(note)
    return note


@retried_on_conflict
def restore(user: Any, note_id: UUID) -> Note:
    """Bring a note of one's own back, also into the albums that it was in. Raises Refused."""
    with transaction.atomic():
        note = _held(user, note_id)
        if note.trashed_at is not None:
            _write(note, trashed_at=None)
            refresh_note(note)
    return note


def _held(user: Any, note_id: UUID, *, is_trashed: bool | None = None) -> Note:
    note = Note.objects.select_for_update(of=("self",)).filter(pk=note_id, owner=user).first()
    if note is None or (is_trashed is False and note.trashed_at is not None):
        raise not_found("note")
    return note


def _differs(note: Note, name: str, value: Any) -> bool:
    return any(getattr(note, column) != said for column, said in _columns({name: value}).items())


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in given.items() if name != "notedAt"}
    noted: datetime | None = given.get("notedAt")
    if noted is not None:
        columns |= {
            "noted_at": noted.astimezone(UTC),
            "noted_offset_minutes": int((noted.utcoffset() or timedelta()).total_seconds() // 60),
            "noted_local": noted.replace(tzinfo=UTC),
        }
    return columns


def _write(note: Note, **changed: Any) -> None:
    changed["updated_at"] = timezone.now()
    for name, value in changed.items():
        setattr(note, name, value)
    Note.objects.filter(pk=note.pk).update(**changed)
