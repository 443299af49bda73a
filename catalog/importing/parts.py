"""The parts of one export: what lies in a folder of it, whichever archive brought it, today or another day."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from catalog.importing.icloud import MOST_ALBUM_BYTES, album_key, album_title, folder_in_icloud, is_memory, names_in
from catalog.importing.takeout import Document, Subject, folder_in_export, read_document
from catalog.models import Import, ImportItem, KeptDocument
from catalog.sources.kinds import sidecars_in
from photolala.lib.paths import escape_path

MOST_KEPT_FOLDERS = 32
NO_PHOTO, PHOTO_REJECTED, KEPT, ALBUM = "no_photo", "photo_rejected", "kept", "album"
State = ImportItem.State


class _Folder(NamedTuple):
    """The names in a folder of the export, of all parts together."""

    document_of: dict[str, str]
    """By the name of the photo."""
    photos_of: dict[str, list[str]]
    """By the name of the document."""
    items: dict[str, list[int]]
    """The keys of the items with a name; those that came first go first."""


class Parts:
    """The imports of one person into one library that bring parts of one export; of others only `wanted` itself."""

    def __init__(self, wanted: Import) -> None:
        mine = Import.objects.filter(pk=wanted.pk)
        if wanted.export:
            mine = Import.objects.filter(library=wanted.library_id, user=wanted.user_id, export=wanted.export)
        self._imports = {one.pk: one for one in mine.order_by("created_at", "pk").select_related("user")}
        self._wanted = wanted
        self._directories: dict[str, list[tuple[UUID, str]]] | None = None
        self._folders: dict[str, _Folder] = {}

    @property
    def are_people_keywords(self) -> bool:
        """True if keywords are wished of what documents tell of people: what was wished for one part holds for all."""
        return any(one.people_as_keywords for one in self._imports.values())

    def are_to_be_read(self, directory: str) -> bool:
        """True if files there are read again, though they are known: of what is beside them nothing is told otherwise."""
        return self.are_people_keywords and not folder_in_export(directory)

    def unlisted(self) -> list[Import]:
        """Return the other parts of which it is not known yet what they hold."""
        return [
            one for one in self._imports.values() if one.listed_at is None and not one.error and one != self._wanted
        ]

    def get(self, key: UUID) -> Import:
        """Return one of the parts."""
        return self._imports[key]

    def forget(self) -> None:
        """Read the names anew when they are asked for."""
        self._directories = None
        self._folders.clear()

    def documents_of(self, photos: Sequence[ImportItem]) -> dict[int, ImportItem]:
        """Return by photo the documents of those of which one is in the export: in the same folder of another part, or beside
        another copy of the photo. One that was rejected since its photo was not there waits again.
        """
        found: dict[int, int] = {}
        missing = []
        for item in photos:
            key = folder_in_export(item.directory)
            document = self._document(key, item.filename) if key else None
            if document is not None:
                found[item.pk] = document
            elif key:
                missing.append(item)
        found.update(self._beside_copies(missing))
        items = ImportItem.objects.in_bulk(list(set(found.values())))
        for one in items.values():
            reopen(one)
        return {key: items[document] for key, document in found.items() if document in items}

    def photos_of(self, documents: Sequence[ImportItem]) -> dict[int, list[ImportItem]]:
        """Return by document the photos of which it speaks, in whichever part. One query, besides those for the names."""
        keys: dict[int, list[int]] = {}
        for document in documents:
            folder = self._folder(folder_in_export(document.directory))
            names = folder.photos_of.get(document.filename, ())
            keys[document.pk] = sorted(key for name in names for key in folder.items[name])
        items = ImportItem.objects.in_bulk({key for some in keys.values() for key in some})
        return {document: [items[key] for key in some if key in items] for document, some in keys.items()}

    def albums_of(self, part: Import) -> dict[str, Document]:
        """Return the albums, by their folders or tables in the export, of which this part may bring something."""
        described = ImportItem.objects.filter(import_run__in=list(self._imports), code=ALBUM, is_sidecar=True)
        rows = list(described.order_by("pk").values_list("import_run", "directory", "filename"))
        if not rows:
            return {}
        mine = {key for key, places in self._by_folder().items() if any(run == part.pk for run, _ in places)}
        found: dict[str, Document] = {}
        for run, directory, name in rows:
            table = album_key(directory, name)
            key = table or folder_in_export(directory)
            if key in found or not (table or key in mine):
                continue
            kept = KeptDocument.objects.filter(import_run=run, directory=directory, filename=name).first()
            document = document_in(directory, name, bytes(kept.body)) if kept else None
            if document is not None and document.subject is Subject.ALBUM:
                found[key] = document
        return found

    def photos_named(self, names: Sequence[str]) -> list[UUID]:
        """Return the photos of the library that files of iCloud's export became, in the order of these names.

        A name that several photos have says nothing: iCloud gives the same one to many.
        """
        found: dict[str, set[UUID]] = defaultdict(set)
        for start in range(0, len(names), 500):
            some = {escape_path(os.fsencode(name)) for name in names[start : start + 500]}
            came = ImportItem.objects.filter(import_run__in=list(self._imports), filename__in=some, is_sidecar=False)
            came = came.filter(state__in=[State.IMPORTED, State.DUPLICATE], photo__isnull=False)
            for name, directory, photo in came.values_list("filename", "directory", "photo"):
                if photo is not None and folder_in_icloud(directory):
                    found[name].add(photo)
        escaped = (escape_path(os.fsencode(name)) for name in names)
        return list(dict.fromkeys(next(iter(found[name])) for name in escaped if len(found.get(name, ())) == 1))

    def photos_in(self, key: str) -> Iterator[UUID]:
        """Yield the photos of the library that the files in a folder of the export became, or are."""
        for run, directory in self._by_folder().get(key, ()):
            came = ImportItem.objects.filter(import_run=run, directory=directory, is_sidecar=False)
            came = came.filter(state__in=[State.IMPORTED, State.DUPLICATE], photo__isnull=False)
            yield from (key for key in came.order_by("pk").values_list("photo", flat=True) if key is not None)

    def _beside_copies(self, photos: Sequence[ImportItem]) -> dict[int, int]:
        """Return the documents that are beside copies of these photos: of the same name and length, in another folder."""
        if not photos:
            return {}
        copies = ImportItem.objects.filter(
            import_run__in=list(self._imports),
            is_sidecar=False,
            filename__in={item.filename for item in photos},
            size_bytes__in={item.size_bytes for item in photos},
        ).exclude(pk__in=[item.pk for item in photos])
        documents: dict[tuple[str, int], int] = {}
        for name, size, directory in copies.order_by("pk").values_list("filename", "size_bytes", "directory"):
            key = folder_in_export(directory)
            document = self._document(key, name) if key and (name, size) not in documents else None
            if document is not None:
                documents[name, size] = document
        return {
            item.pk: documents[item.filename, item.size_bytes]
            for item in photos
            if (item.filename, item.size_bytes) in documents
        }

    def _document(self, key: str, photo: str) -> int | None:
        folder = self._folder(key)
        name = folder.document_of.get(photo)
        return folder.items[name][0] if name else None

    def _folder(self, key: str) -> _Folder:
        if key not in self._folders:
            if len(self._folders) >= MOST_KEPT_FOLDERS:
                self._folders.clear()
            items: dict[str, list[int]] = defaultdict(list)
            for run, directory in self._by_folder().get(key, ()):
                rows = ImportItem.objects.filter(import_run=run, directory=directory).order_by("pk")
                for pk, name in rows.values_list("pk", "filename"):
                    items[name].append(pk)
            beside = {name: own["takeout"] for name, own in sidecars_in(items).items() if "takeout" in own}
            photos: dict[str, list[str]] = defaultdict(list)
            for photo, document in beside.items():
                photos[document].append(photo)
            self._folders[key] = _Folder(beside, photos, items)
        return self._folders[key]

    def _by_folder(self) -> dict[str, list[tuple[UUID, str]]]:
        """Return the folders of the parts by their paths in the export. One query."""
        if self._directories is None:
            found: dict[str, list[tuple[UUID, str]]] = defaultdict(list)
            rows = ImportItem.objects.filter(import_run__in=list(self._imports)).order_by()
            for run, directory in sorted(set(rows.values_list("import_run", "directory").distinct())):
                key = folder_in_export(directory)
                if key:
                    found[key].append((run, directory))
            self._directories = dict(found)
        return self._directories


def reopen(sidecar: ImportItem) -> None:
    """Let a sidecar wait again that was rejected only since its photo had not come in."""
    if sidecar.state == State.REJECTED and sidecar.code in (NO_PHOTO, PHOTO_REJECTED, KEPT):
        sidecar.state, sidecar.code, sidecar.reason, sidecar.detail = State.WAITING, "", "", ""


def in_exports(items: Iterable[ImportItem]) -> list[ImportItem]:
    """Return those of the items that are documents or tables in a folder of an export."""
    return [one for one in items if is_document(one.directory, one.filename)]


def is_document(directory: str, filename: str) -> bool:
    """True for what may speak about photos or albums of an export."""
    name = filename.lower()
    if name.endswith(".json"):
        return bool(folder_in_export(directory))
    return name.endswith(".csv") and bool(folder_in_icloud(directory))


def document_in(directory: str, filename: str, body: bytes) -> Document:
    """Return what a document or table says, other than of the photos beside it."""
    if not filename.lower().endswith(".csv"):
        return read_document(body)
    title = album_title(directory, filename)
    names = names_in(body) if title and len(body) <= MOST_ALBUM_BYTES else []
    words = "A memory, as iCloud put it together." if is_memory(directory) else ""
    return Document(Subject.ALBUM, title, words, names=tuple(names)) if names else Document(Subject.OTHER)
