"""The parts of one export: what lies in a folder of it, whichever archive brought it, today or another day."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from catalog.importing.takeout import Document, Subject, folder_in_export, read_document
from catalog.models import Import, ImportItem, KeptDocument
from catalog.sources.kinds import sidecars_in

MOST_KEPT_FOLDERS = 32
NO_PHOTO, KEPT, ALBUM = "no_photo", "kept", "album"
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
            if one.state == State.REJECTED and one.code in (NO_PHOTO, KEPT):
                one.state, one.code, one.reason, one.detail = State.WAITING, "", "", ""
        return {key: items[document] for key, document in found.items() if document in items}

    def photos_of(self, document: ImportItem) -> list[ImportItem]:
        """Return the photos of which a document speaks, in whichever part."""
        folder = self._folder(folder_in_export(document.directory))
        names = folder.photos_of.get(document.filename, ())
        return list(
            ImportItem.objects.filter(pk__in=[key for name in names for key in folder.items[name]]).order_by("pk")
        )

    def albums_of(self, part: Import) -> dict[str, Document]:
        """Return the albums, by their folders in the export, of which this part brings something."""
        mine = {key for key, places in self._by_folder().items() if any(run == part.pk for run, _ in places)}
        described = ImportItem.objects.filter(import_run__in=list(self._imports), code=ALBUM, is_sidecar=True)
        found: dict[str, Document] = {}
        for run, directory, name in described.order_by("pk").values_list("import_run", "directory", "filename"):
            key = folder_in_export(directory)
            if key not in mine or key in found:
                continue
            kept = KeptDocument.objects.filter(import_run=run, directory=directory, filename=name).first()
            document = read_document(bytes(kept.body)) if kept else None
            if document is not None and document.subject is Subject.ALBUM:
                found[key] = document
        return found

    def photos_in(self, key: str) -> Iterator[UUID]:
        """Yield the photos of the library that the files in a folder of the export became, or are."""
        for run, directory in self._by_folder().get(key, ()):
            came = ImportItem.objects.filter(import_run=run, directory=directory, is_sidecar=False)
            came = came.filter(state__in=[State.IMPORTED, State.DUPLICATE], photo__isnull=False)
            yield from came.order_by("pk").values_list("photo", flat=True)

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


def in_exports(items: Iterable[ImportItem]) -> list[ImportItem]:
    """Return those of the items that are documents in a folder of an export."""
    return [one for one in items if one.filename.lower().endswith(".json") and folder_in_export(one.directory)]
