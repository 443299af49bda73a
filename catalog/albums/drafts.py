"""Drafts: kept as somebody types, and published as notes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.albums import attachments, items, notes, values
from catalog.albums.refusals import Refused, id_taken, not_found
from catalog.models import Draft, Note
from changes import fields as field_states
from operations.database_conflicts import retried_on_conflict

TYPES = ["text", "image", "video", "audio", "camera"]
MOST_BLOCKS = 500
MOST_ALBUMS = 20
LONGEST_BLOCK = notes.LONGEST_CONTENT
LONGEST_ID = 64
MEMBERS = {"id", "type", "text", "attachment", "caption", "place"}
"""Of a block."""


def _blocks(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise values.invalid(name, f"{name} must be a list of blocks.")
    if len(value) > MOST_BLOCKS:
        raise values.invalid(name, f"A draft may have {MOST_BLOCKS} blocks at most; this has {len(value):,}.")
    blocks = [_block(one, f"{name}[{number}]") for number, one in enumerate(value)]
    if len({block["id"] for block in blocks}) < len(blocks):
        raise values.invalid(name, "Two blocks of the draft have the same id.")
    return blocks


def _block(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not {"id", "type"} <= set(value) <= MEMBERS:
        raise values.invalid(name, f"{name} needs id and type, and may have text, attachment, caption and place.")
    return {
        "id": values.text(LONGEST_ID, least=1)(value["id"], f"{name}.id"),
        "type": values.choice(TYPES)(value["type"], f"{name}.type"),
        "text": values.text(LONGEST_BLOCK)(value.get("text") or "", f"{name}.text"),
        "attachment": attachments.read_one(value.get("attachment"), f"{name}.attachment"),
        "caption": values.text(notes.LONGEST_CAPTION)(value.get("caption") or "", f"{name}.caption"),
        "place": values.place(value.get("place"), f"{name}.place"),
    }


def _albums(value: Any, name: str) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise values.invalid(name, f"{name} must be a list of albums' ids.")
    keys = list(dict.fromkeys(str(values.key(one, name)) for one in value))
    if len(keys) > MOST_ALBUMS:
        raise values.invalid(name, f"A note goes into {MOST_ALBUMS} albums at most; these are {len(keys):,}.")
    return keys


READERS: dict[str, values.Reader] = {"blocks": _blocks, "albums": _albums}


@retried_on_conflict
def create(user: Any, draft_id: UUID, fields: Mapping[str, Any], known: Iterable[attachments.Held] = ()) -> Draft:
    """Begin a draft of `user` with the id that the client chose. Sent again, it changes nothing. Raises Refused.

    Photos that it is `known` to have held, as a backup says, may be elsewhere just now.
    """
    given = values.read(fields, READERS)
    try:
        with transaction.atomic():
            there = Draft.objects.filter(pk=draft_id).first()
            if there is not None:
                if there.owner_id != user.pk:
                    raise id_taken()
                return there
            held = held_by(given.get("blocks", []))
            attachments.check(user, held, known)
            draft = Draft.objects.create(pk=draft_id, owner=user, **given)
            attachments.remember(draft, held)
            field_states.touched("draft", [draft.pk], given, user=user.pk)
    except IntegrityError:
        raise id_taken() from None
    return draft


@retried_on_conflict
def patch(user: Any, draft_id: UUID, fields: Mapping[str, Any], known: Iterable[attachments.Held] = ()) -> Draft:
    """Change blocks or albums of a draft of one's own; `known` as in `create`. Raises Refused."""
    given = values.read(fields, READERS)
    with transaction.atomic():
        draft = _held(user, draft_id, is_trashed=False)
        if "blocks" in given:
            attachments.check(user, held_by(given["blocks"]), [*held_by(draft.blocks), *known])
        changed = {name: value for name, value in given.items() if getattr(draft, name) != value}
        if changed:
            _write(draft, **changed)
            field_states.touched("draft", [draft.pk], changed, user=user.pk)
        if "blocks" in changed:
            attachments.remember(draft, held_by(draft.blocks))
    return draft


@retried_on_conflict
def delete(user: Any, draft_id: UUID) -> Draft:
    """Move a draft of one's own to the trash, for 30 days. Raises Refused."""
    with transaction.atomic():
        draft = _held(user, draft_id)
        if draft.trashed_at is None:
            _write(draft, trashed_at=timezone.now())
    return draft


@retried_on_conflict
def restore(user: Any, draft_id: UUID) -> Draft:
    """Bring a draft of one's own back; one that was published can then be published once more, as another note."""
    with transaction.atomic():
        draft = _held(user, draft_id)
        if draft.trashed_at is not None:
            _write(draft, trashed_at=None, published_as=None)
    return draft


@retried_on_conflict
def publish(user: Any, draft_id: UUID, note_id: UUID | None = None) -> Note:
    """Make a note of a draft, put it into the draft's albums, and move the draft to the trash; all or nothing.

    Published again, because the answer was lost, it is the same note. Raises Refused, also if one of the albums is not
    for `user` to change.
    """
    with transaction.atomic():
        draft = _held(user, draft_id)
        if draft.published_as is not None:
            published = Note.objects.filter(pk=draft.published_as, owner=user).first()
            if published is not None:
                return published
        if draft.trashed_at is not None:
            raise not_found("draft")
        if not any(block["text"].strip() or block["attachment"] or block["caption"] for block in draft.blocks):
            raise Refused("invalid", "There is nothing in this draft that could be published.", field="blocks")
        key = note_id or uuid5(draft.pk, draft.updated_at.isoformat())
        note = notes.written(user, key, _as_note(draft))
        for album_id in draft.albums:
            added = items.add(user, UUID(album_id), [items.Target(items.NOTE, note.pk)])
            for _, refused in added.errors:
                raise refused
        _write(draft, trashed_at=timezone.now(), published_as=note.pk)
    return note


def _as_note(draft: Draft) -> dict[str, Any]:
    """Return the fields of the note: texts in their order, then what is attached in its order. Raises Refused."""
    texts = [block["text"] for block in draft.blocks if block["text"].strip()]
    captions = [block["caption"] for block in draft.blocks if block["caption"].strip()]
    first = next((block for block in draft.blocks if block["attachment"]), None)
    fields = {
        "type": _type_of(first),
        "content": "\n\n".join(texts),
        "caption": "\n".join(captions),
        "attachments": [_sendable(held) for held in held_by(draft.blocks)],
        "place": next((block["place"] for block in draft.blocks if block["place"]), None),
    }
    return {**values.read(fields, notes.READERS), "notedAt": draft.created_at}


def _type_of(block: dict[str, Any] | None) -> str:
    if block is None:
        return str(Note.Type.TEXT)
    kind = {"image": Note.Type.IMAGE, "video": Note.Type.VIDEO, "audio": Note.Type.AUDIO}.get(block["type"])
    if kind is None:  # a camera makes either
        is_video = str(block["attachment"].get("media_type", "")).startswith("video/")
        kind = Note.Type.VIDEO if is_video else Note.Type.IMAGE
    return str(kind)


def _sendable(held: attachments.Held) -> attachments.Held:
    return {name: held[name] for name in ("photo", "media_md5", "name") if name in held}


def held_by(blocks: Sequence[Mapping[str, Any]]) -> list[attachments.Held]:
    """Return what the blocks hold, in their order."""
    return [block["attachment"] for block in blocks if block["attachment"]]


def _held(user: Any, draft_id: UUID, *, is_trashed: bool | None = None) -> Draft:
    draft = Draft.objects.select_for_update(of=("self",)).filter(pk=draft_id, owner=user).first()
    if draft is None or (is_trashed is False and draft.trashed_at is not None):
        raise not_found("draft")
    return draft


def _write(draft: Draft, **changed: Any) -> None:
    changed["updated_at"] = timezone.now()
    for name, value in changed.items():
        setattr(draft, name, value)
    Draft.objects.filter(pk=draft.pk).update(**changed)
