"""Documents of an export whose photos came from elsewhere: from another part, or days before. The end of an import joins them."""

import copy
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Length

from catalog.edits.favourites import FULL
from catalog.edits.ratings import set_ratings
from catalog.importing.icloud import MOST_ALBUM_BYTES, is_details
from catalog.importing.origins import Origin
from catalog.importing.outcomes import Outcomes
from catalog.importing.parts import ALBUM, KEPT, NO_PHOTO, PHOTO_REJECTED, Parts, document_in
from catalog.importing.placer import Placer
from catalog.importing.read_file import name_beside
from catalog.importing.reasons import reason_for_failure, reject
from catalog.importing.takeout import Document, Subject, folder_in_export, is_year_folder
from catalog.importing.told_keywords import give_told
from catalog.models import Import, ImportItem, KeptDocument, Photo
from catalog.sources.kinds import sidecars_in
from operations.running import Run
from photolala.lib.paths import escape_path

AT_ONCE = 200
MOST_KEPT_BYTES = 64 * 1024 * 1024
"""Of one import: more than any export has, and a small archive cannot fill the database."""
KEPT_SENTENCE = "No photo that it speaks about has come yet. It is kept for one that another part of the export brings."
UNREAD = Document(Subject.OTHER)
State = ImportItem.State


@dataclass
class _Joined:
    """A document, what it says, and the photos of the library that it comes to."""

    item: ImportItem
    photos: list[tuple[ImportItem, Photo]]
    """Each with the item that it came as, whose name tells which document is its own."""
    missing: list[tuple[ImportItem, Photo, str]] = field(default_factory=list)
    """Those that have no document yet, and what it is to be called."""
    was_rejected: bool = False
    """All its photos were."""
    said: Document = UNREAD


class Joining:
    """Joins the documents of one import that found no photo while it was read."""

    def __init__(self, run: Run, placer: Placer, outcomes: Outcomes) -> None:
        self._run, self._placer, self._outcomes = run, placer, outcomes
        self._kept_bytes = 0

    def join(self, wanted: Import, origin: Origin, parts: Parts, documents: Sequence[ImportItem]) -> None:
        """Put documents beside the photos that they speak about, give the stars (and keywords) that they tell, keep the others.

        Of what is joined the next scan reads the rest. Safe to repeat after a kill at any point.
        """
        if documents:
            kept = KeptDocument.objects.filter(import_run=wanted).aggregate(sum=Sum(Length("body")))["sum"]
            self._kept_bytes = kept or 0
        for start in range(0, len(documents), AT_ONCE):
            self._join(wanted, origin, parts, documents[start : start + AT_ONCE])

    def _join(self, wanted: Import, origin: Origin, parts: Parts, documents: Sequence[ImportItem]) -> None:
        kept: list[tuple[ImportItem, bytes]] = []
        joined: list[_Joined] = []
        told: list[_Joined] = []
        try:
            for one in self._found(wanted, parts, documents):
                if one.photos and not one.missing:
                    if parts.are_people_keywords:
                        if (body := _read(origin, one.item)) is None:
                            continue
                        one.said = document_in(one.item.directory, one.item.filename, body)
                        told.append(one)
                    one.item.state, one.item.code = State.DUPLICATE, "in_library"
                    one.item.reason = "There is a document beside the photo already."
                elif is_details(one.item.directory, one.item.filename):
                    one.item.state, one.item.code = State.IMPORTED, "details"
                    one.item.reason = "It tells dates and favourites of the photos beside it."
                elif (body := _read(origin, one.item)) is not None:
                    self._judge(one, body, kept)
                    if one.item.state in ImportItem.OPEN:
                        joined.append(one)
            self._place(origin, joined)
            with transaction.atomic():
                _keep(kept)
                liked = [
                    photo.pk
                    for one in joined
                    if one.said.is_favourite and one.item.state == State.IMPORTED
                    for _, photo in one.photos
                    if not photo.rating and photo.rated_at is None
                ]
                if liked:
                    set_ratings(wanted.user, liked, FULL)
                if parts.are_people_keywords:
                    told += [one for one in joined if one.item.state == State.IMPORTED]
                    living = [one for one in told if not one.said.is_trashed]
                    give_told(wanted, [(photo.pk, one.said.keywords) for one in living for _, photo in one.photos])
                self._outcomes.write_sidecars(documents)
        finally:
            self._placer.leave()
        for item in documents:
            origin.forget(item)
        self._run.raise_if_stopped()

    def _found(self, wanted: Import, parts: Parts, documents: Sequence[ImportItem]) -> list[_Joined]:
        """Return the documents with the photos of the library of which they speak. Two queries, besides those for names."""
        came = parts.photos_of(documents)
        ends = (State.IMPORTED, State.DUPLICATE)
        keys = {item.photo for some in came.values() for item in some if item.photo and item.state in ends}
        rows = Photo.objects.filter(library=wanted.library, pk__in=keys).exclude(state=Photo.State.MISSING)
        photos = {photo.pk: photo for photo in rows}
        names: dict[str, dict[str, str]] = {}
        found = []
        for item in documents:
            there = {one.photo: one for one in came[item.pk] if one.photo in photos and one.state in ends}
            one = _Joined(item, [(there[key], photos[key]) for key in sorted(key for key in there if key is not None)])
            one.was_rejected = bool(came[item.pk]) and all(photo.state == State.REJECTED for photo in came[item.pk])
            for photo_item, photo in one.photos:
                name = name_beside("takeout", item, photo_item, photo.filename)
                document = self._document_of(photo, names)
                # What a killed import put there is put there again: only so its end is known.
                if not document or (document == name and item.state == State.PLACING):
                    one.missing.append((photo_item, photo, name))
            found.append(one)
        return found

    def _judge(self, one: _Joined, body: bytes, kept: list[tuple[ImportItem, bytes]]) -> None:
        """Note what becomes of a document by what it says; one that stays open is to be put beside its photos."""
        item = one.item
        said = one.said = document_in(item.directory, item.filename, body)
        title = said.title.strip()
        if said.subject is Subject.OTHER:
            reject(item, "unsupported", "It is neither a photo nor a video.")
        elif said.subject is Subject.ALBUM and (
            is_year_folder(folder_in_export(item.directory)) or is_year_folder(title)
        ):
            reject(item, "unsupported", "It describes the folder of a year, which is no album.")
        elif said.subject is Subject.ALBUM and self._kept_bytes + len(body) > MOST_KEPT_BYTES:
            reject(item, "unsupported", "It describes an album; this import has more such descriptions than are kept.")
        elif said.subject is Subject.ALBUM:
            self._kept_bytes += len(body)
            kept.append((item, body))
            item.state, item.code, item.reason = State.IMPORTED, ALBUM, f"It describes the album “{title[:200]}”."
        elif said.is_trashed and one.photos:
            where = one.photos[0][1].path
            item.state, item.code = State.DUPLICATE, "trashed"
            item.reason = f"Its photo was in the trash where it comes from, and came in before this told it: {where}."
        elif one.was_rejected:
            reject(item, PHOTO_REJECTED, "The photo that it speaks about was not imported.")
        elif not one.photos and self._kept_bytes + len(body) <= MOST_KEPT_BYTES:
            self._kept_bytes += len(body)
            kept.append((item, body))
            reject(item, KEPT, KEPT_SENTENCE)
        elif not one.photos:
            reject(item, NO_PHOTO, "No photo that it speaks about was imported.")

    def _place(self, origin: Origin, joined: Sequence[_Joined]) -> None:
        """Put the documents beside the photos that have none. What goes wrong is in the items then."""
        placing: list[tuple[ImportItem, str, ImportItem]] = []
        for one in joined:
            for item, photo, name in one.missing:
                beside = copy.copy(item)  # the photo may have been moved or renamed since it came
                beside.target_directory, beside.target_filename = photo.directory, photo.filename
                placing.append((one.item, name, beside))
        with transaction.atomic():
            for item, name, photo_item in placing:
                place = {"target_directory": photo_item.target_directory, "target_filename": name}
                ImportItem.objects.filter(pk=item.pk).update(state=State.PLACING, **place)
            self._run.checkpoint(stop=False)
        for item, _, photo_item in placing:
            with suppress(OSError, ValueError):
                self._placer.reserve_sidecar(item, photo_item)
        self._outcomes.confirm()
        for item, name, photo_item in placing:
            with suppress(OSError, ValueError):
                folder = self._placer.folder_for(photo_item.target_directory)
                self._placer.copy_sidecar(item, name, photo_item, origin, folder)
        if placing:
            self._placer.settle()
        for item in {item.pk: item for item, _, _ in placing}.values():
            if item.state in ImportItem.OPEN:
                reject(item, "unreadable", "It could not be put beside its photo.")

    def _document_of(self, photo: Photo, documents: dict[str, dict[str, str]]) -> str:
        """Return the document that is beside a photo in the library; "" if none is."""
        if photo.directory not in documents:
            documents[photo.directory] = {}
            with suppress(OSError, ValueError):  # what is wrong with the folder is told when something is put there
                names = os.listdir(self._placer.folder_for(photo.directory))
                beside = sidecars_in(escape_path(os.fsencode(name)) for name in names)
                documents[photo.directory] = {name: own.get("takeout", "") for name, own in beside.items()}
        return documents[photo.directory].get(photo.filename, "")


def _read(origin: Origin, item: ImportItem) -> bytes | None:
    """Return the bytes of a document; None, with a reason in the item, if it cannot be read."""
    try:
        descriptor = origin.open(item)
    except OSError as error:
        reject(item, *reason_for_failure(error, None))
        return None
    with open(descriptor, "rb") as file:
        return file.read(MOST_ALBUM_BYTES + 1)


def _keep(documents: Sequence[tuple[ImportItem, bytes]]) -> None:
    """Keep documents for parts that are still to come. Call it in a transaction."""
    KeptDocument.objects.bulk_create(
        [
            KeptDocument(import_run_id=item.import_run_id, directory=item.directory, filename=item.filename, body=body)
            for item, body in documents
        ],
        ignore_conflicts=True,
    )
