"""Albums, notes and drafts of a backup: compared with those here, and put back by their own verbs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from accounts.models import User
from catalog.albums import albums, drafts, notes, values
from catalog.albums.kinds import album_json, draft_json, moment_text, note_json
from catalog.albums.refusals import Refused
from catalog.albums.restored import Times, keep_times
from catalog.models import Album, Draft, Media, Note
from exports.bundle import layout
from exports.bundle.layout import ListFile
from exports.restore.check import moment_or_none
from exports.restore.people import Restoring
from exports.restore.photos import named_in
from exports.restore.plan import REPLACE, Here, There, compare
from exports.restore.report import Action, Difference
from exports.restore.spool import Record

OF_OTHERS = "It belongs to somebody else, whose own backup has it."
ID_IN_USE = "Its id cannot be used here."
_SENTENCE_END = " Nothing was changed."


@dataclass(frozen=True)
class Sort:
    """A sort of things with a home of its own: how it is read, compared and written."""

    name: str
    file: ListFile
    model: Any
    verbs: Any
    json: Callable[..., list[dict[str, Any]]]
    fields: tuple[str, ...]
    names: str


ALBUM = Sort(
    "album",
    layout.ALBUMS,
    Album,
    albums,
    album_json,
    ("title", "description", "order", "query", "allowsOriginals"),
    "title",
)
NOTE = Sort(
    "note",
    layout.NOTES,
    Note,
    notes,
    note_json,
    ("type", "content", "caption", "attachments", "notedAt", "place"),
    "content",
)
DRAFT = Sort("draft", layout.DRAFTS, Draft, drafts, draft_json, ("blocks", "albums"), "")
SORTS = (DRAFT, NOTE, ALBUM)
"""In the order in which rows are locked."""


def restore_things(work: Restoring, sort: Sort) -> frozenset[str]:
    """Compare, and put back, all things of a sort; return the ids of those that are new here.

    With `replace` those here that the backup does not have go to the trash.
    """
    made: set[str] = set()
    for batch in work.checked.spool.batches(sort.file.name):
        made |= _Batch(work, sort, batch).restore()
    if work.mode == REPLACE:
        for user in work.people.by_name.values():
            _trash_others(work, sort, user)
    return frozenset(made)


class _Batch:
    def __init__(self, work: Restoring, sort: Sort, batch: list[tuple[str, Record]]) -> None:
        self.work, self.sort, self.batch = work, sort, batch
        rows = sort.model.objects.filter(pk__in=[key for key, _ in batch]).select_related("owner").order_by("pk")
        if work.applies:
            rows = rows.select_for_update(of=("self",))
        found = list(rows)
        self.rows = {str(row.pk): row for row in found}
        self.json = {str(row.pk): one for row, one in zip(found, sort.json(found, ""), strict=True)}
        self.times: dict[UUID, Times] = {}
        self.photos = self._photos()
        self.media = self._media()

    def restore(self) -> set[str]:
        """Restore what can be; return the ids of what is new."""
        made = set()
        for key, record in self.batch:
            difference = self._restore_one(key, record)
            self.work.report.add(difference)
            if difference.action is Action.CREATE:
                made.add(key)
        if self.work.applies:
            keep_times(self.sort.model, self.times)
        return made

    def _restore_one(self, key: str, record: Record) -> Difference:
        name = _first_line(record.get(self.sort.names))
        user = self.work.people.get(record["owner"])
        if user is None:
            return Difference(self.sort.name, key, Action.LEFT, name, reason=OF_OTHERS)
        row = self.rows.get(key)
        if row is not None and row.owner_id != user.pk:
            return Difference(self.sort.name, key, Action.LEFT, name, reason=ID_IN_USE)
        try:
            fields = self._fields(key, record, user)
        except Refused as refused:
            return Difference(self.sort.name, key, Action.LEFT, name, reason=_reason(refused))
        there = There(fields, moment_or_none(record["updatedAt"]), name)
        here = None
        if row is not None:
            here = Here(_comparable(self.json[key]), row.updated_at, row.trashed_at is not None)
        difference = compare(self.sort.name, key, there, here, self.work.mode)
        if self.work.applies:
            try:
                self._write(UUID(key), user, there, difference, record)
            except Refused as refused:
                return Difference(self.sort.name, key, Action.LEFT, name, reason=_reason(refused))
        return difference

    def _fields(self, key: str, record: Record, user: User) -> dict[str, Any]:
        """Return the fields as they are written here: photos by their ids here, files that are there, text in NFC."""
        given = {name: record[name] for name in self.sort.fields if name in record}
        if self.sort is NOTE:
            held = [self._held(one, user, key) for one in record["attachments"]]
            given["attachments"] = [one for one in held if one is not None]
        if self.sort is DRAFT:
            given["blocks"] = [self._block(block, user, key) for block in record["blocks"]]
        return _comparable(_as_json(values.read(given, self.sort.verbs.READERS)))

    def _block(self, block: Record, user: User, key: str) -> Record:
        kept = {name: value for name, value in block.items() if name in drafts.MEMBERS}
        kept["attachment"] = self._held(kept.get("attachment"), user, key)
        return kept

    def _held(self, held: Any, user: User, key: str) -> Any:
        """Return an attachment as it is named here; None, with a note, for a file that is nowhere."""
        if not held or "photo" in held:
            return {"photo": self.photos.get((user.pk, held["photo"]), held["photo"])} if held else None
        md5 = str(held.get("media_md5"))
        if (user.pk, md5) in self.media or (md5 in self.in_backup and not self.work.applies):
            return {"media_md5": md5, "name": held.get("name") or ""}
        self.work.checked.note(
            f"{self.sort.name} {key}",
            f"Its file {held.get('name') or md5} is not in the backup, nor here: it is left out.",
        )
        return None

    def _write(self, key: UUID, user: User, there: There, difference: Difference, record: Record) -> None:
        verbs, known = self.sort.verbs, _known(self.sort, there.fields)
        given = {"known": known} if known is not None else {}
        if difference.action is Action.CREATE:
            verbs.create(user, key, there.fields, **given)
            self.times[key] = Times(moment_or_none(record["createdAt"]), there.changed_at)
            return
        if difference.action not in (Action.UPDATE, Action.BRING_BACK):
            return
        if difference.action is Action.BRING_BACK:
            verbs.restore(user, key)
        if difference.fields:
            verbs.patch(user, key, {name: there.fields[name] for name in difference.fields}, **given)
            self.times[key] = Times(None, there.changed_at)

    def _photos(self) -> dict[tuple[UUID, str], str]:
        """Return by whom and by the id in the backup: the ids here of photos that the things of this batch hold."""
        wanted: dict[UUID, set[str]] = {}
        for _, record in self.batch:
            user = self.work.people.get(record["owner"])
            if user is not None:
                wanted.setdefault(user.pk, set()).update(str(one["photo"]) for one in held_by(record) if "photo" in one)
        found = {}
        for user in self.work.people.by_name.values():
            named = named_in(self.work.checked.spool, wanted.get(user.pk, ()))
            for key, photo in self.work.people.finder_of(user).find(named).items():
                found[user.pk, key] = str(photo.id)
        return found

    def _media(self) -> set[tuple[UUID, str]]:
        """Return whose files of this batch are in the media store; those that the backup has are in `in_backup`."""
        md5s = {str(one["media_md5"]) for _, record in self.batch for one in held_by(record) if "media_md5" in one}
        self.in_backup = set(self.work.checked.spool.some("whole", md5s))
        people = [user.pk for user in self.work.people.by_name.values()]
        stored = Media.objects.filter(owner__in=people, md5__in=md5s) if md5s else Media.objects.none()
        return set(stored.values_list("owner", "md5"))


def _trash_others(work: Restoring, sort: Sort, user: User) -> None:
    """Move what the person has and the backup has not to the trash."""
    mine = sort.model.objects.filter(owner=user, trashed_at=None).order_by("pk")
    keys = [str(key) for key in mine.values_list("pk", flat=True)]
    known = work.checked.spool.some(sort.file.name, keys)
    for key in keys:
        if key not in known:
            work.report.add(Difference(sort.name, key, Action.TRASH))
            if work.applies:
                sort.verbs.delete(user, UUID(key))


def held_by(record: Record) -> list[Record]:
    """Return the attachments of a note or draft of a backup."""
    held = record.get("attachments") or [block.get("attachment") for block in record.get("blocks", ())]
    return [one for one in held if one]


def _known(sort: Sort, fields: Mapping[str, Any]) -> Iterable[Record] | None:
    if sort is ALBUM:
        return None
    held = fields["attachments"] if sort is NOTE else drafts.held_by(fields["blocks"])
    return [one for one in held if "photo" in one]


def _as_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked values as a backup writes them."""
    found = dict(given)
    if "notedAt" in found:
        offset = found["notedAt"].utcoffset() or timedelta()
        found["notedAt"] = moment_text(found["notedAt"], int(offset.total_seconds() // 60))
    return found


def _comparable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without what follows from the others: type and size of files are the store's to know."""
    found = dict(fields)
    if "attachments" in found:
        found["attachments"] = [_plain(one) for one in found["attachments"]]
    if "blocks" in found:
        found["blocks"] = [{**block, "attachment": _plain(block.get("attachment"))} for block in found["blocks"]]
    return found


def _plain(held: Any) -> Any:
    return {name: held[name] for name in ("photo", "media_md5", "name") if name in held} if held else None


def _first_line(text: Any) -> str:
    return str(text or "").strip().partition("\n")[0][:80]


def _reason(refused: Refused) -> str:
    return str(refused).removesuffix(_SENTENCE_END)
