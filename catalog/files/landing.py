"""How new versions take their places together: announced in the rows first, exchanged on the disk, then told to the catalog."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.entries import counts
from catalog.entries.owner_stars import mirror_for_owner
from catalog.entries.taken import given_columns, taken_columns
from catalog.files.claims import Claims
from catalog.files.intents import (
    base_of,
    facts_now,
    is_new,
    keeps_way,
    keywords_now,
    keywords_seen,
    rekeyed,
    said_before,
    says_now,
    without_reason,
)
from catalog.files.prepared import Prepared
from catalog.files.shared_sidecars import hold_what_others_were_given
from catalog.identity.rekey import forget_readings, rekey
from catalog.media.not_written import NotWritten, reason_of
from catalog.media.results import DigestResult
from catalog.models import FileWrite, Library, Photo
from catalog.roots import root_check
from catalog.sources.base import Source
from operations.running import LeaseLost, Run

logger = logging.getLogger(__name__)
_XMP_APPEARED = "An XMP file appeared beside the photo just now; it is tried again."
_VERSIONS = ("old_md5", "new_md5", "xmp_old_md5", "xmp_new_md5")


class Landing:
    """The last step of one run over a library's queue: prepared versions take their places below `source`."""

    def __init__(self, run: Run, library: Library, source: Source, claims: Claims) -> None:
        self.run = run
        self.library = library
        self._source = source
        self.claims = claims

    def land(self, ready: list[tuple[FileWrite, Prepared]]) -> None:
        """Let new versions take their places and tell the catalog. Killed anywhere, `recover` finds out what was done."""
        swapped: list[tuple[FileWrite, Prepared]] = []
        try:
            for write, prepared in self._announced(ready):
                if self._swap(write, prepared):
                    swapped.append((write, prepared))
            if swapped:  # what the catalog is told lies on the library's disk
                self._source.check()
                root_check.check_pointer_is_there(self.library)
            self._tell(swapped)
            for _, prepared in swapped:
                prepared.is_told = True
        except BaseException as error:
            if not isinstance(error, LeaseLost) and self._is_untold(swapped):
                for _, prepared in swapped:
                    prepared.swap_back()  # where that fails the new version stays, and the next writer tells of it
            raise
        finally:
            for _, prepared in ready:
                prepared.close()
        told = [write.pk for write, _ in swapped]
        done = FileWrite.objects.filter(pk__in=told, state=FileWrite.State.DONE, claimed_for=self.claims.name)
        done.update(claimed_for="", claimed_path="")

    def _swap(self, write: FileWrite, prepared: Prepared) -> bool:
        """Let one file's new versions take their places; False if that could not be, and is noted. Raises LeaseLost."""
        try:
            prepared.swap()
        except OSError as error:
            prepared.swap_back()
            if not prepared.is_unclear:
                write.new_md5 = write.xmp_new_md5 = ""
            is_there = isinstance(error, FileExistsError)
            self.claims.settle(write, NotWritten(_XMP_APPEARED, "busy") if is_there else reason_of(error))
            return False
        return True

    def _is_untold(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> bool:
        """True if these are surely still ours and the catalog knows nothing of them; else `recover` decides later."""
        try:
            if not self.run.still_mine():
                return False
            keys = [write.pk for write, _ in swapped]
            held = FileWrite.objects.filter(pk__in=keys, state=FileWrite.State.WRITING, claimed_for=self.claims.name)
            return held.count() == len(keys)
        except Exception:  # the database is away
            logger.exception("What became of %d writes is left to the next writer", len(swapped))
            return False

    def _announced(self, ready: list[tuple[FileWrite, Prepared]]) -> Iterator[tuple[FileWrite, Prepared]]:
        """Note in the rows which versions are about to take their places; yield those that are still ours."""
        if not ready:
            return
        ours = []
        with transaction.atomic():
            self.claims.prove()
            hold_what_others_were_given(self.library, ready)
            for write, prepared in ready:
                if prepared.rewritten is not None:
                    if write.old_md5 != prepared.old.photo_md5:
                        write.base_md5 = ""  # its own undo delta led from another version
                    write.old_md5, write.new_md5 = prepared.old.photo_md5, prepared.rewritten.facts.photo_md5
                    write.new_key = f"{prepared.rewritten.facts.head_md5}:{prepared.rewritten.size_bytes}"
                if prepared.sidecar is not None:
                    write.xmp_old_md5, write.xmp_new_md5 = prepared.sidecar.old_md5, prepared.sidecar.new_md5
                if prepared.rewritten is not None or prepared.sidecar is not None:
                    seen = keywords_seen(write)
                    write.previous = said_before(write, prepared)
                    if seen is not None:  # whoever wants others after a kill has seen these, too
                        write.previous["seen"] = list(dict.fromkeys([*seen, *write.wanted["keywords"]]))
                mine = FileWrite.objects.filter(pk=write.pk, claim_token=write.claim_token)
                values = {name: getattr(write, name) for name in (*_VERSIONS, "new_key", "previous", "base_md5")}
                if mine.update(**values):
                    ours.append((write, prepared))
        yield from ours

    def _tell(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> None:
        """Tell the catalog of all these new versions in one transaction."""
        if not swapped:
            return
        keys = [write.photo_id for write, _ in swapped]
        with transaction.atomic():
            self.claims.prove()
            # Photos are locked before writes, as by those who ask for something.
            list(Photo.objects.select_for_update().filter(pk__in=keys).order_by("pk").values_list("pk"))
            rekey(self.library, [rekeyed(write, prepared) for write, prepared in swapped if is_new(prepared)])
            for write, prepared in swapped:
                if prepared.sidecars is not None and not is_new(prepared):
                    Photo.objects.filter(pk=write.photo_id).update(sidecars=prepared.sidecars)
            forget_readings(keys)
            written = self._finish(swapped)
            self.claims.counts["written"] += written
            mirror_for_owner(self.library, keys)
            counts.bump_revision(self.library)
            self.run.advance(written)
            self.claims.prove()

    def _finish(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> int:
        """Close the intents, but for those that want something else by now: they go back into the queue.

        Those keep the undo delta from the version that lies there to an earlier one. Returns how many are done.
        """
        now = timezone.now()
        rows = FileWrite.objects.select_for_update().filter(pk__in=[write.pk for write, _ in swapped]).order_by("pk")
        stored = {row.pk: row for row in rows.only("claim_token", "wanted")}
        done, again = [], []
        for write, prepared in swapped:
            row = stored.get(write.pk)
            if row is None or row.claim_token != write.claim_token:
                continue
            write.xmp_old_md5 = write.xmp_new_md5 = ""
            if is_new(prepared):
                write.undo_delta, write.base_md5, write.base = prepared.undo_delta, *base_of(write, prepared)
            elif not keeps_way(write, prepared.old.photo_md5):
                write.undo_delta, write.base_md5, write.base = None, "", {}
            if row.wanted != write.wanted or prepared.is_other:
                seen = keywords_seen(write)
                write.state, write.previous = FileWrite.State.PENDING, says_now(write, prepared)
                if seen is not None:
                    write.previous["seen"] = [*seen, *write.wanted["keywords"]]
                write.wanted, write.claimed_for = row.wanted, ""
                write.old_md5, write.new_md5 = (write.new_md5 or write.old_md5 if write.base_md5 else ""), ""
                write.attempts = write.crash_count = 0
                again.append(write)
                continue
            write.state, write.finished_at, write.crash_count = FileWrite.State.DONE, now, 0
            if not is_new(prepared):
                write.old_md5 = write.base_md5
                if write.base_md5:  # an earlier try wrote it
                    write.new_md5, write.previous = prepared.old.photo_md5, write.base
            write.previous.pop("seen", None)
            write.previous = write.previous or said_before(write, prepared)
            if write.kind == FileWrite.Kind.KEYWORDS:  # with those that nobody took away
                write.wanted = write.wanted | {"keywords": keywords_now(prepared)}
            done.append(write)
        both = ["state", "wanted", "undo_delta", "base_md5", "base", "previous", *_VERSIONS, "crash_count"]
        _save([without_reason(w) for w in done], [*both, "finished_at", "code", "reason"])
        _save(again, [*both, "claimed_for", "attempts"])
        self._show(done, [prepared for write, prepared in swapped if write in done])
        FileWrite.objects.filter(pk__in=[w.undoes_id for w in done if w.undoes_id]).update(state=FileWrite.State.UNDONE)
        return len(done)

    def _show(self, done: Sequence[FileWrite], prepared: Sequence[Prepared]) -> None:
        """Let the catalog say what the files say, and hold it no longer."""
        rated: dict[int, list[Any]] = {}
        for write, one in zip(done, prepared, strict=True):
            if write.kind == FileWrite.Kind.RATING:
                rated.setdefault(int(write.wanted["rating"]), []).append(write.photo_id)
                continue
            if write.kind == FileWrite.Kind.CAPTION:
                caption = write.wanted.get("sidecar", write.wanted["caption"])
                Photo.objects.filter(pk=write.photo_id).update(caption=caption, caption_held=False)
                continue
            if write.kind == FileWrite.Kind.KEYWORDS:
                words = write.wanted.get("sidecar", write.wanted["keywords"])
                Photo.objects.filter(pk=write.photo_id).update(keywords=words, keywords_held=False)
                continue
            if write.kind == FileWrite.Kind.PLACE:
                self._show_place(write, facts_now(one))
                continue
            facts = facts_now(one)
            told = taken_columns(facts.taken_local, facts.taken_at, facts.offset_minutes, facts.taken_source)
            if beside := write.wanted.get("sidecar"):  # it counts first, and was put back to what it said
                local = datetime.fromisoformat(beside["taken"])
                told = given_columns(local, beside["offset"], self.library.time_zone, "sidecar")
            elif facts.takeout_taken:  # the file says what it said when somebody gave another date in Google Photos
                if not write.undoes_id:
                    continue  # a person wants the file's own: the catalog goes on holding it
                told = given_columns(
                    datetime.fromisoformat(facts.takeout_taken), None, self.library.time_zone, "sidecar"
                )
            Photo.objects.filter(pk=write.photo_id).update(**told, taken_held=False)
        for stars, keys in rated.items():  # a restore may have told the catalog something else meanwhile
            Photo.objects.filter(pk__in=keys).update(rating=stars or None, rating_held=False)

    def _show_place(self, write: FileWrite, facts: DigestResult) -> None:
        """That there is none no XMP file can say, and Takeout's would fill it in again: the catalog goes on holding it.

        A file that got its bytes back says what it said when somebody gave another place in Google Photos: that counts again,
        or, where a person wants the file's own, the catalog goes on holding that.
        """
        place = write.wanted.get("sidecar", write.wanted["place"])
        is_overruled = facts.takeout_latitude is not None and "sidecar" not in write.wanted
        if is_overruled and write.undoes_id:
            place = [facts.takeout_latitude, facts.takeout_longitude]
        latitude, longitude = place or (None, None)
        of_it = Photo.objects.filter(pk=write.photo_id)
        of_it.update(latitude=latitude, longitude=longitude, place_held=is_overruled and not write.undoes_id)
        if place is None:
            (of_it if write.is_sidecar else of_it.exclude(sidecars="")).update(place_held=True)


def _save(writes: Iterable[FileWrite], names: Sequence[str]) -> None:
    """Write these columns of a few rows one by one: one statement for all takes several times as long to put together."""
    for write in writes:
        FileWrite.objects.filter(pk=write.pk).update(**{name: getattr(write, name) for name in names})
