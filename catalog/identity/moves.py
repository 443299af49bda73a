"""Moves: what is gone here and new there with the same photo MD5 is the same photo, and keeps all that hangs on it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce

from catalog.entries import known as entries_known
from catalog.entries.folder_comparison import Entry, compare
from catalog.identity.aliases import current_md5, earlier_md5s
from catalog.identity.apply_moves import apply_moves, place_of
from catalog.identity.move_matching import Move, Place, pairs
from catalog.identity.returned import follow_returned, forget_returns
from catalog.identity.swaps import follow_replaced
from catalog.models import Alias, FileWrite, Library, Photo, TrashItem
from catalog.models.conditions import is_given
from catalog.models.photo import PhotoQuerySet
from catalog.sources.base import Directory, Source
from operations.models import Operation, State

BATCH = 100
_PLACE = ("directory", "filename")
_MOST_SCANS = 50
_JUST_NOW = datetime.max.replace(tzinfo=UTC)
IN_TRASH = set(TrashItem.State) - {TrashItem.State.FILING}
"""Of what is only on its way into another folder nobody wants to be rid."""


def count_probable(
    library: Library,
    source: Source,
    dirty: list[str],
    vanished: list[str],
    entries: Callable[[Directory], dict[str, Entry]],
) -> int:
    """Return how many known entries that are gone seem to be elsewhere: new files of the same size and time.

    `dirty` are the folders in which something differs, `vanished` those that are gone.
    Asked only when much is gone at once; the digest decides later which really are the same.
    """
    added: dict[tuple[int, int], list[datetime]] = defaultdict(list)
    kept: set[tuple[str, str]] = set()
    concerned = {*dirty, *vanished}
    for path in dirty:
        directory = source.list_directory(path)
        found = entries(directory)
        plan = compare(found, entries_known.known_in(library, [path])[path], is_complete=directory.is_complete)
        for name in plan.added if plan else []:
            added[found[name][:2]].append(_JUST_NOW)
        kept.update((path, name) for name in found)
    known = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING)
    seen_at = last_walk(library)
    if seen_at:  # what moved while the last scan walked is known at both places
        columns = ("size_bytes", "mtime_ns", "added_at")
        for size_bytes, mtime_ns, added_at in known.filter(added_at__gte=seen_at).order_by().values_list(*columns):
            added[size_bytes, mtime_ns].append(added_at)
    moved = 0
    for directory_path, name, size_bytes, mtime_ns, added_at in known.values_list(
        "directory", "filename", "size_bytes", "mtime_ns", "added_at"
    ).iterator(chunk_size=2000):
        if directory_path not in concerned or (directory_path, name) in kept or (size_bytes, mtime_ns) not in added:
            continue
        later = added[size_bytes, mtime_ns]
        place = next((one for one in sorted(later, reverse=True) if one > added_at), None)
        if place is not None:
            later.remove(place)
            moved += 1
    return moved


def follow(library: Library, source: Source, started_at: datetime, count: Callable[..., None]) -> int:
    """Give photos that were found the ids of missing ones with the same photo MD5, an alias of it, or at least the same picture.

    Only what was first seen in the last scan that saw the missing one, or later, may be its new place; in buckets, where a
    rename is a copy and a deletion, also an older copy to which nobody gave anything. `count` is called in the transaction of
    each batch of moves, with what it did. In order of path, so that the same files always end with the same ids. Returns how
    many moves were left to the next scan, because a writer has the file in hand.
    """
    _know_last_content(library)
    walked_at = last_walk(library)
    postponed = follow_returned(library, source, started_at, walked_at, count)
    if not postponed:
        forget_returns(library, walked_at)
    missing = Photo.objects.filter(library=library, state=Photo.State.MISSING).exclude(photo_md5="")
    there = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).exclude(photo_md5="")
    window = Q(added_at=started_at) | Q(added_at__gte=walked_at or started_at)
    postponed += follow_replaced(library, missing, there.filter(window), started_at, count)
    if not missing.exists():
        return postponed
    following = Following(library, source, started_at, count)
    following.moved_on(missing, there)
    following.same_content(missing, there)
    following.aliases(missing, there)
    following.same_pictures(missing, there)
    following.deleted(missing)
    return postponed + following.postponed


def _know_last_content(library: Library) -> None:
    """Let photos that were changed, and gone before they were read again, be known by what they had before."""
    gone = Photo.objects.filter(library=library, state=Photo.State.MISSING, photo_md5="").filter(
        is_given("replaced_md5")
    )
    gone.update(photo_md5=F("replaced_md5"), replaced_md5="", replaced_image="")


def last_walk(library: Library) -> datetime | None:
    """Return when the last scan began that saw every folder and came to its end; None if none ever did."""
    walked_at = Library.objects.values_list("walked_at", flat=True).get(pk=library.pk)
    if walked_at is not None:
        return walked_at
    # Before the first scan of this version: what an earlier one left.
    scans = Operation.objects.filter(active_key=library.scan_key, kind="scan", state=State.COMPLETED)
    for created_at, params in scans.order_by("-created_at").values_list("created_at", "params")[:_MOST_SCANS]:
        if not params.get("only_failed"):
            return created_at
    return Library.objects.values_list("scanned_at", flat=True).get(pk=library.pk)


class Following:
    """One scan's search for where missing photos are now."""

    def __init__(self, library: Library, source: Source, started_at: datetime, count: Callable[..., None]) -> None:
        self.library = library
        self.source = source
        self.started_at = started_at
        self.count = count
        self.postponed = 0
        self._postponed_keys: set[UUID] = set()
        since = Coalesce(OuterRef("seen_at"), OuterRef("missing_since"))
        self._later = Q(added_at__gte=since) | Q(added_at=started_at)

    # -- the same content ---------------------------------------------------------------------------------------------

    def same_content(self, missing: PhotoQuerySet, there: PhotoQuerySet) -> None:
        """Follow photos whose very bytes are elsewhere."""
        later = self._later | Q(added_at__gt=OuterRef("added_at")) if self.source.is_far else self._later
        same = there.filter(photo_md5=OuterRef("photo_md5")).filter(later)
        shared = sorted(set(missing.filter(Exists(same)).order_by().values_list("photo_md5", flat=True)))
        for start in range(0, len(shared), BATCH):
            some = shared[start : start + BATCH]
            olds, news = self._places(missing, some), self._places(there, some)
            moves: list[Move] = []
            for md5 in some:
                moves += self._clear(olds[md5], news[md5])
            self._apply(moves)

    def _places(self, photos: PhotoQuerySet, md5s: Sequence[str]) -> dict[str, list[Place]]:
        columns = ("pk", "photo_md5", *_PLACE, "added_at", "seen_at", "missing_since", "trash_item__state")
        places: dict[str, list[Place]] = {md5: [] for md5 in md5s}
        for key, md5, directory, filename, added_at, seen_at, missing_since, state in photos.filter(
            photo_md5__in=md5s
        ).values_list(*columns):
            places[md5].append(Place(key, directory, filename, added_at, seen_at, missing_since, state in IN_TRASH))
        return places

    def _clear(self, olds: list[Place], news: list[Place]) -> list[Move]:
        """Return who moved where; of several candidates those that are gone from the disk by now are none."""
        moves = pairs(olds, news, self.started_at, is_far=self.source.is_far)
        if len(news) > len(moves) > 0 and not self.source.is_far:
            present = {new.key for new in news if self._is_there(new)}
            olds = [*olds, *(new for new in news if new.key not in present)]  # that is where it was in between
            moves = pairs(olds, [new for new in news if new.key in present], self.started_at, is_far=False)
        return moves

    def _is_there(self, place: Place) -> bool:
        return any(name == place.filename for name, _, _ in self.source.list_directory(place.directory).files)

    # -- what the content became --------------------------------------------------------------------------------------

    def moved_on(self, missing: PhotoQuerySet, there: PhotoQuerySet) -> None:
        """Follow photos whose files became others, and were moved again before that was found out: over both places."""
        untrashed = missing.filter(trash_item=None).order_by()
        for md5, became in sorted(self._later_or_earlier(untrashed).items()):
            between = [stop for stops in self._places(untrashed, sorted(became - {md5})).values() for stop in stops]
            if not between:
                continue
            for old in self._places(untrashed, [md5])[md5]:
                stops = [stop for stop in between if old.may_have_moved_to(stop, self.started_at)]
                found = self._places(there, sorted(became - {md5})) if stops else {}
                news = [new for some in found.values() for new in some if old.may_have_moved_to(new, self.started_at)]
                if len(news) == 1:
                    between = [stop for stop in between if stop not in stops]
                    move = Move(old.key, news[0].key, tuple(stop.key for stop in stops))
                    self._apply([move], is_edit=True)

    def aliases(self, missing: PhotoQuerySet, there: PhotoQuerySet) -> None:
        """Follow photos whose files got other words from Photolala, or have those again that they had before."""
        untrashed = missing.filter(trash_item=None).order_by()
        wanted = self._later_or_earlier(untrashed)
        for md5 in sorted(wanted):
            olds = self._places(untrashed, [md5])[md5]
            found = self._places(there, sorted(wanted[md5]))
            self._apply(
                pairs(olds, [new for news in found.values() for new in news], self.started_at, is_far=False),
                is_edit=True,
            )

    # -- deleted at their new places ----------------------------------------------------------------------------------

    def deleted(self, missing: PhotoQuerySet) -> None:
        """Follow photos into the trash: a person deleted at its new place what no scan had followed there yet."""
        untrashed = missing.filter(trash_item=None).order_by()
        in_trash = missing.filter(trash_item__state=TrashItem.State.TRASHED)
        became = self._later_or_earlier(untrashed)
        same = untrashed.filter(photo_md5__in=in_trash.values("photo_md5"))
        for md5 in sorted({*same.values_list("photo_md5", flat=True), *became}):
            for is_edit, md5s in ((False, {md5}), (True, became.get(md5, set()) - {md5})):
                olds, found = self._places(untrashed, [md5])[md5], self._places(in_trash, sorted(md5s))
                news = [new for some in found.values() for new in some]
                moves = pairs(olds, news, self.started_at, is_far=False)
                self._apply([replace(move, stops=(), into_trash=True) for move in moves], is_edit=is_edit)

    def _later_or_earlier(self, untrashed: PhotoQuerySet) -> dict[str, set[str]]:
        """Return for the MD5s of missing photos what their content became since, or was before.

        Also what a writer that died had announced, whether or not what it wrote is still wanted.
        """
        wanted: dict[str, set[str]] = {}
        for md5 in Alias.objects.filter(library=self.library, old_md5__in=untrashed.values("photo_md5")).values_list(
            "old_md5", flat=True
        ):
            wanted.setdefault(md5, set()).add(current_md5(self.library, md5))
        became = Alias.objects.filter(library=self.library, new_md5__in=untrashed.values("photo_md5"))
        for md5 in set(became.values_list("new_md5", flat=True)):
            wanted.setdefault(md5, set()).update(earlier_md5s(self.library, md5))
        announced = FileWrite.objects.filter(library=self.library, photo__in=untrashed.values("pk")).exclude(new_md5="")
        announced = announced.exclude(state__in=[FileWrite.State.DONE, FileWrite.State.UNDONE])
        for md5, new_md5 in announced.values_list("photo__photo_md5", "new_md5"):
            wanted.setdefault(md5, set()).update({new_md5, current_md5(self.library, new_md5)})
        return wanted

    # -- the same picture ---------------------------------------------------------------------------------------------

    def same_pictures(self, missing: PhotoQuerySet, there: PhotoQuerySet) -> None:
        """Follow photos that were moved and edited at once to the file with the same picture and other words.

        Only where it is clear: one photo is gone with that picture (it may have been seen elsewhere in between) and one came,
        or both were taken in the same second.
        """
        gone = missing.filter(trash_item=None).filter(is_given("image_digest"))
        here = there.filter(is_given("image_digest"))
        same = here.filter(image_digest=OuterRef("image_digest")).filter(self._later)
        shared = set(gone.filter(Exists(same)).order_by().values_list("image_digest", flat=True))
        for digest in sorted(shared):
            olds = list(gone.with_pictures([digest]).order_by(*_PLACE))
            news = list(here.with_pictures([digest]).order_by(*_PLACE))
            news = [new for new in news if any(self._may_be(old, new) for old in olds)]
            first, *stops = sorted(olds, key=lambda old: old.added_at)
            if len(news) == 1 and all(self._was_between(first, stop) for stop in stops):
                if self._may_be(first, news[0]):
                    self._apply([Move(first.pk, news[0].pk, tuple(stop.pk for stop in stops))], is_edit=True)
                continue
            moves = []
            for old in olds:
                same_second = (new for new in news if new.taken_local == old.taken_local)
                new = next((new for new in same_second if self._may_be(old, new)), None)
                if new is not None:
                    news.remove(new)
                    moves.append(Move(old.pk, new.pk))
            self._apply(moves, is_edit=True)

    def _was_between(self, photo: Photo, stop: Photo) -> bool:
        """True if `stop` was first seen when `photo` had left: it is where that was since."""
        return stop.added_at > photo.added_at and self._may_be(photo, stop)

    def _may_be(self, old: Photo, new: Photo) -> bool:
        return place_of(old).may_have_moved_to(place_of(new), self.started_at)

    # -- taking the places --------------------------------------------------------------------------------------------

    def _apply(self, moves: Sequence[Move], *, is_edit: bool = False) -> None:
        # What a writer has in hand is not given to somebody else meanwhile.
        moves = [move for move in moves if self._postponed_keys.isdisjoint(_keys_of(move))]
        for start in range(0, len(moves), BATCH):
            with transaction.atomic():
                applied = apply_moves(self.library, moves[start : start + BATCH], self.started_at, is_edit=is_edit)
                self.postponed += len(applied.postponed)
                self._postponed_keys.update(key for move in applied.postponed for key in _keys_of(move))
                if applied.counts["moved"]:
                    self.count(**applied.counts)


def _keys_of(move: Move) -> tuple[UUID, ...]:
    return move.old, move.new, *move.stops
