"""Files of notes and drafts: kept beside the store by their MD5, sent before the edits that name them, fetched after a pull."""

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sync.protocol.values import JsonValue

from .status import ErrorType, SyncError, SyncResult
from .store import Store, make_private, object_from
from .transport import NotThere, ServerFault, TransportError

PIECE_BYTES = 4 * 1024 * 1024
_MD5 = re.compile(r"[0-9a-f]{32}")
_BLOCK_BYTES = 1 << 20


class MediaTransport(Protocol):
    """How a device's files reach the server, and how it gets those of others. Each call is one request, as with `Transport`."""

    def begin_media(self, md5: str, media_type: str, size_bytes: int) -> int:
        """Begin a file, or go on with it; return how far it has come. Raises MediaRefused."""

    def send_piece(self, md5: str, offset: int, piece: bytes) -> int:
        """Send the piece that begins at `offset`; return how far the file has come. Raises MediaRefused."""

    def fetch_media(self, note: str, md5: str, offset: int) -> Iterator[bytes]:
        """Give the bytes from `offset` on of a file of this note (empty: one's own). NotThere if one may not see it."""


class MediaRefused(TransportError):
    """The server does not take this file, and will not the next time either; `code` says why."""

    def __init__(self, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class MediaFiles:
    """The files of a store. Those that wait to be sent are in the table `media`; a file that is there whole bears its MD5."""

    def __init__(self, store: Store, transport: MediaTransport) -> None:
        """Keep files in a folder beside `store`."""
        self._store = store
        self._transport = transport
        self._folder = store.path.with_name(store.path.name + ".media")
        self.may_lack = True
        """Rows came that nobody looked through for files: before the process began, or since a pull broke off."""

    def path_of(self, md5: str) -> Path | None:
        """Return where a file is, None if it is not here."""
        path = self._folder / md5
        return path if _MD5.fullmatch(md5) and path.exists() else None

    def attach(self, source: Path, media_type: str, name: str) -> dict[str, JsonValue]:
        """Keep a copy of a file, to be sent by the next synchronisation; return what a note's `attachments` take. Durable."""
        self._make_folder()
        partial = self._folder / f"{uuid.uuid4()}.new"
        digest, size_bytes = hashlib.md5(usedforsecurity=False), 0
        make_private(partial)
        with open(source, "rb") as file, open(partial, "wb") as copy:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                copy.write(block)
                size_bytes += len(block)
            copy.flush()
            os.fsync(copy.fileno())
        md5 = digest.hexdigest()
        partial.replace(self._folder / md5)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # else a power failure may leave the row below without its file
        finally:
            os.close(folder)
        with self._store.writing():
            self._store.db.execute(
                "INSERT INTO media VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET media_type = excluded.media_type",
                (md5, media_type, size_bytes),
            )
        return {"media_md5": md5, "name": name or source.name}

    def waiting(self) -> int:
        """Return how many files wait to be sent."""
        return int(self._store.db.execute("SELECT count(*) FROM media").fetchone()[0])

    def send(self, result: SyncResult) -> None:
        """Send what waits, each file from where the server has it. One that is refused is told, and holds up nothing.

        TransportError if a file cannot be sent just now: then nothing that names it may be pushed.
        """
        rows = self._store.db.execute("SELECT md5, media_type, size_bytes FROM media ORDER BY rowid").fetchall()
        for md5, media_type, size_bytes in rows:
            try:
                self._send_one(md5, media_type, size_bytes)
                result.uploaded_media += 1
            except MediaRefused as refused:
                message = f"A file was not taken: {refused} It is kept on this device."
                result.errors.append(SyncError(ErrorType.SERVER, message, refused.code, retryable=False))
            except FileNotFoundError:
                message = "A file that was to be sent is not on this device any more. Attach it again."
                result.errors.append(SyncError(ErrorType.STORAGE, message, md5, retryable=False))
            with self._store.writing():
                self._store.db.execute("DELETE FROM media WHERE md5 = ?", (md5,))

    def _send_one(self, md5: str, media_type: str, size_bytes: int) -> None:
        offset = self._transport.begin_media(md5, media_type, size_bytes)
        with open(self._folder / md5, "rb") as file:
            while offset < size_bytes:
                file.seek(offset)
                try:
                    arrived = self._transport.send_piece(md5, offset, file.read(PIECE_BYTES))
                except MediaRefused as refused:
                    if refused.code == "invalid" and _md5_of(self._folder / md5) == md5:
                        raise ServerFault(f"{refused} It is sent anew.") from None  # spoilt on its way, or over there
                    raise
                if not offset < arrived <= size_bytes:
                    raise ServerFault("The server's reply to a piece of a file does not fit what was sent.")
                offset = arrived

    def fetch(self, result: SyncResult) -> None:
        """Fetch the files that notes and drafts name and that are not here, each from where it broke off the last time.

        One that the server does not show is tried again with the next synchronisation. TransportError as by `send`.
        """
        if not (result.downloaded_items or self.may_lack) and self._store.recall("media_missing") is None:
            return
        missing = False
        for md5, note in self._named():
            if self.path_of(md5) is None:
                try:
                    self._fetch_one(note, md5)
                    result.downloaded_media += 1
                except NotThere:
                    missing = True
                except BaseException:
                    self._remember(missing=True)
                    raise
        self._remember(missing=missing)
        self.may_lack = False

    def _fetch_one(self, note: str, md5: str) -> None:
        self._make_folder()
        partial = self._folder / f"{md5}.partial"
        make_private(partial)
        if _md5_of(partial) != md5:  # else it was killed between the last byte and the name
            try:
                with open(partial, "ab") as file:
                    for block in self._transport.fetch_media(note, md5, file.tell()):
                        file.write(block)
                    file.flush()
                    os.fsync(file.fileno())
            except ServerFault:
                partial.unlink()  # what was fetched may be why; the next time begins at zero
                raise
            if _md5_of(partial) != md5:
                partial.unlink()
                raise ServerFault("A file came with other content than its MD5 says; it is fetched anew.")
        partial.replace(self._folder / md5)

    def _named(self) -> Iterator[tuple[str, str]]:
        """Yield the MD5 of each file that notes and drafts name, with the id of the note (empty for drafts)."""
        rows = self._store.db.execute(
            "SELECT DISTINCT type, id, data FROM row WHERE type IN ('note', 'draft') AND NOT deleted AND data LIKE '%media_md5%'"
        )
        for type, id, data in rows.fetchall():
            fields = object_from(data)
            held = fields.get("attachments") if type == "note" else fields.get("blocks")
            for one in held if isinstance(held, list) else ():
                attachment = one.get("attachment") if type == "draft" and isinstance(one, dict) else one
                md5 = attachment.get("media_md5") if isinstance(attachment, dict) else None
                if isinstance(md5, str) and _MD5.fullmatch(md5):
                    yield md5, id if type == "note" else ""

    def _remember(self, *, missing: bool) -> None:
        with self._store.writing():
            self._store.remember(media_missing=1 if missing else None)

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _md5_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
