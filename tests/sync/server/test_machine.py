"""Histories of several devices with the real server and database: the machine of the reference server, and albums in the trash.

By hand, with many more examples: `SYNC_EXAMPLES=100 pytest tests/sync/server/test_machine.py`, with
`python -m tests.servers run --` before it on PostgreSQL.
"""

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import rule, run_state_machine_as_test

from sync.protocol.ids import album_item_id
from tests.sync.examples import FACTOR
from tests.sync.machine import DEVICES, SyncMachine, devices, picks

from .world import RealWorld


class RealMachine(SyncMachine):
    """The machine, with another world, in which people delete albums with all that is in them, and bring them back."""

    make_world = RealWorld  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.deleted_albums: set[str] = set()
        """What is in them nobody is promised any more, until the album is back."""

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
            self.world.trash("album", id)
        else:
            for number in range(DEVICES):
                self.put_note_into_new_album(number, pick)  # type: ignore[no-untyped-call]
                self._sync(number, [])  # type: ignore[no-untyped-call]

    @rule(pick=picks)
    def bring_album_back_on_page(self, pick: int) -> None:
        if ids := self.world.trashed("album"):
            self.world.bring_back("album", ids[pick % len(ids)])

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
