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
from catalog.importing.parts import ALBUM, KEPT, NO_PHOTO, Parts, document_in
from catalog.importing.placer import Placer
from catalog.importing.read_file import name_beside
from catalog.importing.reasons import reason_for_failure, reject
from catalog.importing.takeout import Document, Subject, folder_in_export, is_year_folder
from catalog.models import Import, ImportItem, KeptDocument, Photo
from catalog.sources.kinds import sidecars_in
from operations.running import Run
from photolala.lib.paths import escape_path

AT_ONCE = 200
MOST_KEPT_BYTES = 64 * 1024 * 1024
"""Of one import: more than any export has, and a small archive cannot fill the database."""
KEPT_SENTENCE = "No photo that it speaks about has come yet. It is kept for one that another part of the export brings."
State = ImportItem.State


@dataclass
class _Joined:
    """A document, what it says, and the photos of the library that it comes to."""

    item: ImportItem
    said: Document
    photos: list[tuple[ImportItem, Photo]] = field(default_factory=list)
    """Each with the item that it came as, whose name tells which document is its own."""


class Joining:
    """Joins the documents of one import that found no photo while it was read."""

    def __init__(self, run: Run, placer: Placer, outcomes: Outcomes) -> None:
        self._run, self._placer, self._outcomes = run, placer, outcomes
        self._kept_bytes = 0

    def join(self, wanted: Import, origin: Origin, parts: Parts, documents: Sequence[ImportItem]) -> None:
        """Put documents beside the photos that they speak about, give the stars that they tell, keep the others.

        Of what is joined the next scan reads the rest. Safe to repeat after a kill at any point.
        """
        if documents:
            kept = KeptDocument.objects.filter(import_run=wanted).aggregate(sum=Sum(Length("body")))["sum"]
            self._kept_bytes = kept or 0
        for start in range(0, len(documents), AT_ONCE):
            self._join(wanted, origin, parts, documents[start : start + AT_ONCE])

    def _join(self, wanted: Import, origin: Origin, parts: Parts, documents: Sequence[ImportItem]) -> None:
        kept, joined = [], []
        for item in documents:
            body = _read(origin, item)
            if body is None:
                continue
            one = _Joined(item, document_in(item.directory, item.filename, body))
            if is_details(item.directory, item.filename):
                item.state, item.code = State.IMPORTED, "details"
                item.reason = "It tells dates and favourites of the photos beside it."
            elif one.said.subject is Subject.OTHER:
                reject(item, "unsupported", "It is neither a photo nor a video.")
            elif one.said.subject is Subject.ALBUM:
                if is_year_folder(folder_in_export(item.directory)) or is_year_folder(one.said.title.strip()):
                    reject(item, "unsupported", "It describes the folder of a year, which is no album.")
                    continue
                kept.append((item, body))
                item.state, item.code = State.IMPORTED, ALBUM
                item.reason = f"It describes the album “{one.said.title.strip()[:200]}”."
            else:
                self._find(wanted, parts, one)
                if one.photos:
                    joined.append(one)
                elif item.state in ImportItem.OPEN and self._kept_bytes + len(body) <= MOST_KEPT_BYTES:
                    self._kept_bytes += len(body)
                    kept.append((item, body))
                    reject(item, KEPT, KEPT_SENTENCE)
                elif item.state in ImportItem.OPEN:
                    reject(item, NO_PHOTO, "No photo that it speaks about was imported.")
        try:
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
                self._outcomes.write_sidecars(documents)
        finally:
            self._placer.leave()
        for item in documents:
            origin.forget(item)
        self._run.raise_if_stopped()

    def _find(self, wanted: Import, parts: Parts, one: _Joined) -> None:
        """Note the photos of the library that a document speaks about, or why it comes to none."""
        came = parts.photos_of(one.item)
        rejected = [item for item in came if item.state == State.REJECTED]
        there = {item.photo: item for item in came if item.photo and item.state in (State.IMPORTED, State.DUPLICATE)}
        rows = Photo.objects.filter(library=wanted.library, pk__in=list(there)).exclude(state=Photo.State.MISSING)
        photos = [(there[photo.pk], photo) for photo in rows.order_by("pk")]
        if one.said.is_trashed and photos:
            where = photos[0][1].path
            one.item.state, one.item.code = State.DUPLICATE, "trashed"
            one.item.reason = (
                f"Its photo was in the trash where it comes from, and came in before this told it: {where}."
            )
        elif photos:
            one.photos = photos
        elif rejected and len(rejected) == len(came):
            reject(one.item, NO_PHOTO, "The photo that it speaks about was not imported.")

    def _place(self, origin: Origin, joined: Sequence[_Joined]) -> None:
        """Put the documents beside their photos, unless these have one. What goes wrong is in the items then."""
        documents: dict[str, dict[str, str]] = {}
        placing: list[tuple[ImportItem, str, ImportItem]] = []
        for one in joined:
            for item, photo in one.photos:
                name = name_beside("takeout", one.item, item, photo.filename)
                there = self._document_of(photo, documents)
                if there and not (
                    there == name and one.item.state == State.PLACING
                ):  # a killed import may have put it there
                    continue
                beside = copy.copy(item)  # the photo may have been moved or renamed since it came
                beside.target_directory, beside.target_filename = photo.directory, photo.filename
                placing.append((one.item, name, beside))
        coming = {item.pk for item, _, _ in placing}
        for one in joined:
            if one.item.pk not in coming:
                one.item.state, one.item.code = State.DUPLICATE, "in_library"
                one.item.reason = "There is a document beside the photo already."
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
