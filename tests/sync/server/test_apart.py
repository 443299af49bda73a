"""Seven days offline on two devices with the real server, in small. At full size: `python -m tests.sync.apart`."""

from pathlib import Path

from tests.sync.apart import apart

from .world import RealWorld


def test_seven_days_apart_with_the_same_notes_both_keep_every_text(db: None, tmp_path: Path) -> None:
    said = apart(RealWorld(), tmp_path, notes=20, edits=100)
    assert said["texts_found"] > 180
