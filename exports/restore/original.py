"""The ZIP of the original application: its journals become albums, its notes notes, its drafts drafts.

`journals.json`, `notes.json`, `drafts.json`, `journal_notes.json` (of its later version) and `media_manifest.json`, with the
files below `media/`. Ids that are no UUIDs become such, always the same ones. What has no place here is kept as text.
"""

import hashlib
import mimetypes
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from catalog.albums import positions
from exports.bundle import layout
from exports.bundle.entries import Metadata
from exports.bundle.files import BundleFiles, require_few, require_short
from exports.bundle.layout import MEDIA_FOLDER, ListFile, time_text
from exports.bundle.lists import InvalidBundle, read_list
from exports.restore.spool import Record, Spool
from exports.restore.texts import possible

JOURNALS = ListFile("journals.json", "journals", dict)
JOURNAL_NOTES = ListFile("journal_notes.json", "journal_notes", dict)
_NAMESPACE = UUID("5f3c1a52-27a4-5b0e-9a53-8f1f6f0d7b11")
_UNTITLED = "Untitled journal"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BLOCK = 1 << 20
_BLOCKS = {"image": "image", "video": "video", "audio": "audio"}
_STATS = {"journalCount": JOURNALS, "noteCount": layout.NOTES, "draftCount": layout.DRAFTS}


def read_into(
    files: BundleFiles, metadata: Record, spool: Spool, keepalive: Callable[[], object] = lambda: None
) -> Metadata:
    """Read all lists into the spool as entries of this version; return the metadata of such a backup.

    `keepalive` is called now and then, and may raise to end it. Raises InvalidBundle, also where the counts are not those
    that the metadata says, and BundleRefused for lists longer than are read.
    """
    return _Reading(files, metadata, spool, keepalive).read_all()


class _Reading:
    def __init__(self, files: BundleFiles, metadata: Record, spool: Spool, keepalive: Callable[[], object]) -> None:
        self.files, self.metadata, self.spool, self.keepalive = files, metadata, spool, keepalive
        self.person = str(metadata.get("userId") or "")
        self.media: dict[str, Record] = {}
        """By path in the archive, and by the address that notes of early versions name."""

    def read_all(self) -> Metadata:
        counts = {
            file.name: sum(1 for _ in self._each(file, keep))
            for file, keep in (
                (layout.MEDIA_MANIFEST, self._keep_media),
                (JOURNALS, self._keep_journal),
                (layout.NOTES, self._keep_note),
                (layout.DRAFTS, self._keep_draft),
            )
        }
        self._keep_associations()
        said = self.metadata.get("stats")
        for name, file in _STATS.items():
            count = said.get(name) if isinstance(said, dict) else None
            if isinstance(count, int) and count != counts[file.name]:
                raise InvalidBundle(
                    f"it says that {file.name} has {count:,} entries, and it has {counts[file.name]:,}."
                )
        return {
            "version": layout.VERSION,
            "exportDate": self._exported(),
            "userId": self.person,
            "username": self.person,
            "deviceId": str(self.metadata.get("deviceId") or ""),
            "appVersion": str(self.metadata.get("appVersion") or ""),
            "epoch": 0,
            "scope": "person",
            "stats": {
                "albumCount": counts[JOURNALS.name],
                "noteCount": counts[layout.NOTES.name],
                "draftCount": counts[layout.DRAFTS.name],
                "mediaCount": len({id(entry) for entry in self.media.values()}),
                "ratingCount": 0,
                "photoCount": 0,
            },
        }

    def _exported(self) -> str:
        try:
            return _time(self.metadata.get("exportDate"))
        except (ValueError, OverflowError):
            raise InvalidBundle(f"{layout.METADATA_NAME} does not say when it was made.") from None

    def _each(self, file: ListFile, keep: Any) -> Iterator[None]:
        if require_short(self.files, file.name) is None:
            return
        with self.files.open(file.name) as stream:
            for number, entry in enumerate(read_list(stream, file.key, file.name), 1):
                require_few(number, file.name)
                if not number % 1000:
                    self.keepalive()
                try:
                    keep(possible(entry))
                except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
                    raise InvalidBundle(f"{file.name}, entry {number:,}: {error!r} is missing or wrong.") from None
                yield None

    def _keep_media(self, entry: Record) -> None:
        path = str(entry["exportPath"])
        name = path if path.startswith(f"{MEDIA_FOLDER}/") else f"{MEDIA_FOLDER}/{path}"
        size = self.files.size(name)
        if size is None:
            return
        digest = hashlib.md5(usedforsecurity=False)
        with self.files.open(name) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                self.keepalive()
        media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
        kept: Record = {
            "exportPath": path,
            "sourceUri": str(entry.get("sourceUri") or ""),
            "photo_md5": digest.hexdigest(),
            "size_bytes": size,
            "media_type": media_type,
        }
        self.spool.add(layout.MEDIA_MANIFEST.name, kept["photo_md5"], kept)
        for known in (path, name, kept["sourceUri"]):
            if known:
                self.media[known] = kept

    def _keep_journal(self, entry: Record) -> None:
        key = self._key("journal", entry["id"])
        album = {
            "id": key,
            "title": str(entry.get("title") or _UNTITLED),
            "description": str(entry.get("description") or ""),
            "cover": None,
            "order": "manual",
            "query": None,
            "allowsOriginals": False,
            "members": [],
            **self._of_person(entry),
        }
        self._add(layout.ALBUMS, key, album)

    def _keep_note(self, entry: Record) -> None:
        key = self._key("note", entry["id"])
        held = self._attachment(entry.get("mediaPath"))
        texts = [str(entry.get("content") or "")]
        texts += [f"{name}: {', '.join(map(str, entry[at]))}" for name, at in _LABELS if entry.get(at)]
        note = {
            "id": key,
            "type": str(entry.get("type") or "TEXT").upper(),
            "content": "\n\n".join(text for text in texts if text),
            "caption": str(entry.get("caption") or ""),
            "mediaPath": held["mediaPath"] if held else None,
            "attachments": [held] if held else [],
            "notedAt": _time(entry.get("createdAt")),
            "place": _place(entry.get("location")),
            **self._of_person(entry),
        }
        self._add(layout.NOTES, key, note)

    def _keep_draft(self, entry: Record) -> None:
        key = self._key("draft", entry["id"])
        blocks: list[Record] = []
        if entry.get("content"):
            blocks.append(_block(len(blocks), "text", text=str(entry["content"])))
        for reference in entry.get("mediaReferences") or []:
            path = (
                reference if isinstance(reference, str) else reference.get("mediaPath") or reference.get("exportPath")
            )
            held = self._attachment(path)
            if held is not None:
                kind = _BLOCKS.get(str(held["media_type"]).partition("/")[0], "camera")
                blocks.append(_block(len(blocks), kind, attachment=held))
        place = _place(entry.get("location"))
        if place and blocks:
            blocks[0]["place"] = place
        journal = entry.get("journalId")
        albums = [self._key("journal", journal)] if journal else []
        self._add(layout.DRAFTS, key, {"id": key, "blocks": blocks, "albums": albums, **self._of_person(entry)})

    def _keep_associations(self) -> None:
        """Let notes be items of their albums, in the order in which they were added."""
        held: dict[str, list[tuple[str, str]]] = defaultdict(list)

        def keep(entry: Record) -> None:
            album, note = self._key("journal", entry["journalId"]), self._key("note", entry["noteId"])
            held[album].append((_time(entry.get("addedAt")), note))

        for _ in self._each(JOURNAL_NOTES, keep):
            pass
        for album, notes in held.items():
            for (added, note), position in zip(sorted(notes), positions.spread(len(notes)), strict=True):
                key = str(uuid5(UUID(album), f"note:{note}"))
                item = {
                    "id": key,
                    "albumId": album,
                    "targetType": "note",
                    "targetId": note,
                    "position": position,
                    "addedAt": added,
                    "addedBy": self.person,
                }
                self.spool.add(layout.ALBUM_ITEMS.name, key, item, album)

    def _attachment(self, path: Any) -> Record | None:
        entry = self.media.get(str(path)) if path else None
        if entry is None:
            return None
        return {
            "media_md5": entry["photo_md5"],
            "media_type": entry["media_type"],
            "size_bytes": entry["size_bytes"],
            "name": str(entry["exportPath"]).rpartition("/")[2],
            "mediaPath": entry["exportPath"],
        }

    def _of_person(self, entry: Record) -> Record:
        made = _time(entry.get("createdAt"))
        changed = entry.get("updatedAt") or entry.get("lastUpdated")
        return {"createdAt": made, "updatedAt": _time(changed) if changed else made, "owner": self.person}

    def _key(self, kind: str, value: Any) -> str:
        try:
            return str(UUID(str(value)))
        except ValueError:
            return str(uuid5(_NAMESPACE, f"{self.person}\n{kind}\n{value}"))

    def _add(self, file: ListFile, key: str, entry: Record) -> None:
        if not self.spool.add(file.name, key, entry):
            raise InvalidBundle(f"{file.name} has the id {entry['id']} twice.")


_LABELS = (("Tags", "tags"), ("People", "people"))


def _block(number: int, kind: str, *, text: str = "", attachment: Record | None = None) -> Record:
    return {"id": str(number + 1), "type": kind, "text": text, "attachment": attachment, "caption": "", "place": None}


def _time(value: Any) -> str:
    """Return a time of the original: RFC 3339 text, or milliseconds since 1970. Raises ValueError, OverflowError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return time_text(_EPOCH + timedelta(milliseconds=value))
    moment = datetime.fromisoformat(str(value))
    return time_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _place(value: Any) -> Record | None:
    if not isinstance(value, dict) or value.get("latitude") is None or value.get("longitude") is None:
        return None
    name = str(value.get("placeName") or "")
    return {"latitude": value["latitude"], "longitude": value["longitude"], "name": name}
