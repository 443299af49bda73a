"""Histories of several devices with the real server and database: the machine of the reference server, albums in the trash, and
shared ones.

By hand, with many more examples: `SYNC_EXAMPLES=100 pytest tests/sync/server/test_machine.py`, with
`python -m tests.servers run --` before it on PostgreSQL.
"""

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from sync.protocol.ids import album_item_id
from tests.sync.examples import FACTOR
from tests.sync.machine import DEVICES, SyncMachine, devices, picks

from .world import RealWorld


class RealMachine(SyncMachine):
    """The machine, with another world, in which people delete albums with all that is in them, and bring them back.

    Another person shows albums of theirs to the devices' one, as an editor, takes them away, deletes them and brings them back.
    """

    make_world = RealWorld  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.deleted_albums: set[str] = set()
        """What is in them nobody is promised any more, until the album is back."""
        self.shared_albums: list[str] = []
        """The other person's, of which nothing is promised but that all devices have the same as the server."""

    @rule(number=devices, pick=picks)
    def delete_album(self, number: int, pick: int) -> None:
        if id := self._pick(self.clients[number], "album", pick):
            self._expect_no_more_of(id)
            self.clients[number].delete("album", id)
        else:  # so that there is one the next time
            self.put_note_into_new_album(number, pick)  # type: ignore[no-untyped-call]

    @rule(pick=picks)
    def delete_album_on_page(self, pick: int) -> None:
        """Delete one that devices have; if there is none, let one of them make it."""
        if ids := sorted(id for type, id in self.world.live() if type == "album"):
            id = ids[pick % len(ids)]
            self._expect_no_more_of(id)
            if id in self.shared_albums:
                self.world.delete_shared(id)
            else:
                self.world.trash("album", id)
        else:
            for number in range(DEVICES):
                self.put_note_into_new_album(number, pick)  # type: ignore[no-untyped-call]
                self._sync(number, [])  # type: ignore[no-untyped-call]

    @rule(pick=picks)
    def bring_album_back_on_page(self, pick: int) -> None:
        if ids := self.world.trashed("album"):
            self.world.bring_back("album", ids[pick % len(ids)])

    @rule(number=devices, pick=picks)
    def rename_album(self, number: int, pick: int) -> None:
        """Whoever has not seen that it was deleted brings it back by that."""
        if id := self._pick(self.clients[number], "album", pick):
            self.clients[number].patch("album", id, {"title": self._token()})
            if id not in self.shared_albums:
                self.made.add(("album", id))

    @rule(number=devices, pick=picks)
    def edit_an_album_that_was_deleted_meanwhile(self, number: int, pick: int) -> None:
        """Rename it, put a note in and take another out on one device, while the album is deleted on a page."""
        if id := self._pick(self.clients[number], "album", pick):
            self.put_note_into_album(number, pick, pick)  # type: ignore[no-untyped-call]
            self.delete_album_on_page(pick)
            self.delete(number, "albumItem", pick)  # type: ignore[no-untyped-call]
            if self.clients[number].get("album", id) is not None:
                self.clients[number].patch("album", id, {"title": self._token()})
                if id not in self.shared_albums:
                    self.made.add(("album", id))

    @rule(pick=picks, what=st.sampled_from(["show", "show_again", "show_no_more", "delete", "bring_back"]))
    def other_person_acts(self, pick: int, what: str) -> None:
        """Let the other person show an album, or do something with one that they showed."""
        if what == "show" or not self.shared_albums:
            id = next(self.ids)
            self.shared_albums.append(id)
            self.deleted_albums.add(id)
            self.world.share_new_album(id)
            return
        act = {
            "show_again": self.world.share_again,
            "show_no_more": self.world.share_no_more,
            "delete": self.world.delete_shared,
            "bring_back": self.world.bring_shared_back,
        }[what]
        act(self.shared_albums[pick % len(self.shared_albums)])

    @precondition(lambda self: self.saved is not None and self.restores < 2)
    @rule()
    def restore(self) -> None:
        super().restore()  # type: ignore[no-untyped-call]
        self.made -= {("album", id) for id in self.deleted_albums}  # what brought them back may be forgotten now

    def _delete(self, number: int, type: str, id: str) -> None:
        album = (self.clients[number].get(type, id) or {}).get("albumId")
        super()._delete(number, type, id)  # type: ignore[no-untyped-call]
        if album in self.shared_albums:  # perhaps it is not theirs to change any more
            self.doomed.discard((type, id))

    def _expect_no_more_of(self, album: str) -> None:
        self.deleted_albums.add(album)
        self.made -= {("album", album), *(("albumItem", album_item_id(album, "note", note)) for note in self.items_of)}

    def _add_item(self, number: int, album: str, note: str) -> None:
        super()._add_item(number, album, note)  # type: ignore[no-untyped-call]
        if album in self.deleted_albums:
            self.made.discard(("albumItem", album_item_id(album, "note", note)))


def test_nothing_acknowledged_is_lost_and_all_converge(db: None) -> None:
    run_state_machine_as_test(
        RealMachine,
        settings=settings(
            max_examples=3 * FACTOR,
            stateful_step_count=int(os.environ.get("SYNC_STEPS", "30")),
            deadline=None,
            derandomize=FACTOR == 1,  # the suite tries the same histories each time; others are tried by hand
            phases=tuple(Phase) if "SYNC_SHRINK" in os.environ else [Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
