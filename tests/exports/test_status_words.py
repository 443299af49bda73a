"""The words for how far something is: one table for operations, export jobs and records, as the formats say."""

from pathlib import Path

import pytest

from exports.ledger.records import RecordStatus
from operations.models import EXPORT_JOB_WORDS, State

FORMATS = Path(__file__).resolve().parents[2] / "docs" / "formats.md"


def table() -> dict[str, list[list[str]]]:
    """Return the rows of formats.md §7: the words of each kind of thing, by column."""
    lines = FORMATS.read_text().partition("## 7. Status words")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    return {where: [[word for word in cell.split(", ") if word != "–"] for cell in cells] for where, *cells in rows}


@pytest.mark.promise("X-04")
def test_the_table_of_the_formats_is_the_one_in_the_code() -> None:
    rows = table()
    operations, jobs, records = (rows[name] for name in rows)
    assert sorted(word for cell in operations for word in cell) == sorted(State.values)
    assert [word for cell in records for word in cell] == [str(status) for status in RecordStatus]
    for own, words in zip(operations, jobs, strict=True):
        said = {EXPORT_JOB_WORDS[State(state)] for state in own if state != State.INTERRUPTED}
        assert said == set(words)
    assert EXPORT_JOB_WORDS[State.INTERRUPTED] == "queued"  # it continues by itself
    assert set(EXPORT_JOB_WORDS.values()) == {word for cell in jobs for word in cell}
