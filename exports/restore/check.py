"""Whether a backup is whole, and can be read at all: before anything is compared or written. Pure.

What is wrong with the backup as a whole refuses it; an entry or a media file that cannot be used is noted, and the rest counts.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from exports.bundle import layout
from exports.bundle.decoding import decode
from exports.bundle.entries import Metadata
from exports.bundle.files import BundleFiles, require_few, require_short
from exports.bundle.layout import ListFile
from exports.bundle.lists import InvalidBundle, decode_object, read_list
from exports.formats.manifest import InvalidManifest, Manifest, decode_manifest
from exports.restore import original
from exports.restore.photos import WAITED_FOR
from exports.restore.refusals import RestoreRefused, refusal_for
from exports.restore.spool import Record, Spool
from exports.restore.texts import what_is_impossible
from exports.restore.upgrade import Step, steps_from, upgraded

MOST_NOTED = 1_000
LARGEST_SIZE = (1 << 63) - 1
"""Of a photo, in bytes: what the database keeps."""
_BLOCK = 1 << 20
_LARGEST_MANIFEST = 128 << 20
_STATS = {"albumCount": layout.ALBUMS, "noteCount": layout.NOTES, "draftCount": layout.DRAFTS}


def _own_id(entry: Record) -> Any:
    return entry["id"]


_KEYS: Mapping[str, Callable[[Record], Any]] = {
    layout.RATINGS.name: lambda entry: entry["photoId"],
    layout.WAITING.name: lambda entry: f"{entry['user']}/{entry['photoId']}",
    layout.MEDIA_MANIFEST.name: lambda entry: entry["photo_md5"],
    layout.EXPORT_RECORDS.name: lambda entry: f"{entry['destinationId']}/{entry['record'].get('id')}",
    layout.SETTINGS.name: lambda entry: entry["name"],
    layout.SNAPSHOTS.name: lambda entry: f"{entry['libraryId']}/{entry['md5']}",
    layout.ALIASES.name: lambda entry: f"{entry['libraryId']}/{entry['oldMD5']}",
}
_UUIDS = frozenset(
    {
        layout.ALBUMS,
        layout.NOTES,
        layout.DRAFTS,
        layout.ALBUM_ITEMS,
        layout.RATINGS,
        layout.PHOTOS,
        layout.LIBRARIES,
        layout.USERS,
        layout.DESTINATIONS,
    }
)
_PARENTS = {
    layout.ALBUM_ITEMS.name: "albumId",
    layout.EXPORT_RECORDS.name: "destinationId",
    layout.WAITING.name: "user",
}


@dataclass
class Checked:
    """A backup that can be restored: its entries are in the spool, by the name of their file and their id."""

    metadata: Metadata
    spool: Spool
    problem_count: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_of_server(self) -> bool:
        """True for a backup of everything."""
        return self.metadata.get("scope") == "server"

    def note(self, what: str, reason: str) -> None:
        """Note what cannot be used, and why; the first thousand are listed."""
        self.problem_count += 1
        if len(self.problems) < MOST_NOTED:
            self.problems.append({"what": what[:300], "reason": reason[:500]})


def check(files: BundleFiles, spool: Spool, keepalive: Callable[[], object] = lambda: None) -> Checked:
    """Read all of a backup: versions, shapes, ids, counts, sizes and digests. Raises RestoreRefused, OSError.

    `keepalive` is called now and then, and may raise to end it.
    """
    try:
        metadata = _metadata(files)
        way = steps_from(metadata)
        if files.size(original.JOURNALS.name) is not None:
            metadata = original.read_into(files, metadata, spool, keepalive)
            checked = Checked(metadata, spool)
            checked.counts = {file.name: spool.count(file.name) for file in layout.LIST_FILES}
            return checked
        checked = Checked(decode(metadata, Metadata, layout.METADATA_NAME), spool)
        manifest = _manifest(files)
        for file in layout.list_files(of_server=checked.is_of_server):
            checked.counts[file.name] = _read(files, file, checked, way, manifest, keepalive)
    except InvalidBundle as error:
        raise refusal_for(error) from None
    _require_counts(checked)
    return checked


def check_media(files: BundleFiles, checked: Checked, keepalive: Callable[[], object] = lambda: None) -> int:
    """Compare each file of the backup's media with its size and MD5; those that differ are noted, and count as not there.

    Returns how many are whole. Raises OSError for a backup that cannot be read any more.
    """
    whole = 0
    for batch in checked.spool.batches(layout.MEDIA_MANIFEST.name):
        for md5, entry in batch:
            keepalive()
            reason = _what_is_wrong(files, entry, md5, keepalive)
            if reason is None:
                whole += checked.spool.add("whole", md5, {})
            else:
                checked.note(f"{layout.MEDIA_FOLDER}/{entry['exportPath']}", reason)
    return whole


def media_name(entry: Mapping[str, Any]) -> str:
    """Return the name in the backup of a file of its media."""
    path = str(entry["exportPath"])
    return path if path.startswith(f"{layout.MEDIA_FOLDER}/") else f"{layout.MEDIA_FOLDER}/{path}"


def _metadata(files: BundleFiles) -> dict[str, Any]:
    try:
        with files.open(layout.METADATA_NAME) as stream:
            metadata = decode_object(stream, layout.METADATA_NAME)
        reason = what_is_impossible(metadata)
        if reason is not None:
            raise RestoreRefused(f"{layout.METADATA_NAME} of the backup is damaged: {reason}", "damaged")
    except (FileNotFoundError, NotADirectoryError):
        raise RestoreRefused("This is no backup: it has no metadata.json.", "no_backup") from None
    return metadata


def _manifest(files: BundleFiles) -> Manifest | None:
    """Return the list of files with their digests, if the backup has one."""
    size = files.size(layout.MANIFEST_NAME)
    if size is None:
        return None
    if size > _LARGEST_MANIFEST:
        raise RestoreRefused(f"{layout.MANIFEST_NAME} has {size:,} bytes, more than any backup's.")
    with files.open(layout.MANIFEST_NAME) as stream:
        try:
            return decode_manifest(stream.read())
        except InvalidManifest as error:
            raise RestoreRefused(str(error)) from None


class _Measured:
    """Counts and digests what is read through it."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.size, self.sha256 = stream, 0, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        self.size += len(data)
        self.sha256.update(data)
        return data


def _read(
    files: BundleFiles,
    file: ListFile,
    checked: Checked,
    way: list[Step],
    manifest: Manifest | None,
    keepalive: Callable[[], object],
) -> int:
    """Keep the entries of a file; return how many it has."""
    size = require_short(files, file.name)
    if size is None:
        if file in (layout.ALBUMS, layout.NOTES, layout.DRAFTS) or (manifest and _listed(manifest, file.name)):
            raise RestoreRefused(f"The backup is incomplete: it has no {file.name}.", "incomplete")
        return 0
    count = 0
    with files.open(file.name) as stream:
        measured: Any = _Measured(stream)
        for entry in read_list(measured, file.key, file.name):
            count += 1
            require_few(count, file.name)
            if not count % 1000:
                keepalive()
            _keep(file, upgraded(file.name, entry, way), count, checked)
    listed = _listed(manifest, file.name) if manifest else None
    if listed and (listed.size_bytes, listed.sha256) != (measured.size, measured.sha256.hexdigest()):
        raise RestoreRefused(f"{file.name} of the backup is not as it was written: its digest differs.", "damaged")
    return count


def _listed(manifest: Manifest, name: str) -> Any:
    return next((one for one in manifest.files if one.path == name), None)


def _keep(file: ListFile, entry: Record, number: int, checked: Checked) -> None:
    where = f"{file.name}, entry {number:,}"
    reason = what_is_impossible(entry)
    if reason is not None:
        checked.note(where, reason)
        return
    decode(entry, file.entry, where)
    key = str(_KEYS.get(file.name, _own_id)(entry))
    if file in _UUIDS and not is_uuid(key):
        checked.note(where, f"{key[:60]!r} is no id.")
        return
    if file is layout.WAITING and not is_uuid(entry["photoId"]):
        checked.note(where, "It names no photo by an id.")
        return
    if file in (layout.RATINGS, layout.PHOTOS, layout.WAITING) and not _is_photo(entry):
        checked.note(where, "Its library has no id, or its size is none that a file can have.")
        return
    if file is layout.MEDIA_MANIFEST and not _is_media(entry):
        raise RestoreRefused(f"{where}: {str(entry['exportPath'])[:100]!a} is no file of a backup's media.", "bad_path")
    parent = str(entry[_PARENTS[file.name]]) if file.name in _PARENTS else ""
    if not checked.spool.add(file.name, key, entry, parent):
        raise RestoreRefused(f"{where}: {key[:100]} is there twice.", "duplicate")
    if file is layout.WAITING:
        checked.spool.add(WAITED_FOR, entry["photoId"], entry)


def _is_photo(entry: Record) -> bool:
    return is_uuid(entry["libraryId"]) and 0 <= (entry.get("sizeBytes") or 0) <= LARGEST_SIZE


def _is_media(entry: Record) -> bool:
    return layout.is_media_path(media_name(entry).removeprefix(f"{layout.MEDIA_FOLDER}/")) and entry["size_bytes"] >= 0


def _require_counts(checked: Checked) -> None:
    stats: Mapping[str, int] = checked.metadata["stats"]  # type: ignore[assignment]
    said = [
        *(checked.metadata.get("counts") or {}).items(),
        *((file.name, stats[stat]) for stat, file in _STATS.items()),
    ]
    for name, count in said:
        if name in checked.counts and checked.counts[name] != count:
            raise RestoreRefused(
                f"The backup says that {name} has {count:,} entries, and it has {checked.counts[name]:,}: it is incomplete.",
                "incomplete",
            )


def _what_is_wrong(files: BundleFiles, entry: Record, md5: str, keepalive: Callable[[], object]) -> str | None:
    """Return why a media file cannot be used, in a sentence."""
    name = media_name(entry)
    size = files.size(name)
    if size is None:
        return "The file is not in the backup."
    if size != entry["size_bytes"]:
        return f"The file has {size:,} bytes, and had {entry['size_bytes']:,} when it was backed up."
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with files.open(name) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                keepalive()
    except OSError as error:
        return f"The file cannot be read: {error.strerror or error}."
    return None if digest.hexdigest() == md5 else "The file is not as it was backed up: its MD5 differs."


def is_uuid(text: str) -> bool:
    """True for a UUID as it is written: a backup names each thing in one way only."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def moment_or_none(value: Any) -> datetime | None:
    """Return a time of a backup; None where there is none, or nothing that is one."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    try:
        return moment if moment.utcoffset() is not None and 1 < moment.year < 9999 else None
    except ValueError:
        return None
