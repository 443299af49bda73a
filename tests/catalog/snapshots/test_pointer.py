"""The pointer: whatever happened to it, the good lines of it are used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.snapshots.pointer import MAX_POINTER_BYTES, advance, format_pointer, parse_pointer

A, B, C = "a" * 32, "b" * 32, "c" * 32
md5s = st.text("0123456789abcdef", min_size=32, max_size=32)


@pytest.mark.promise("S4-022", "S4-X08")
def test_first_line_is_the_latest_and_the_earlier_ones_follow() -> None:
    assert format_pointer([A, B]) == f"{A}\n{B}\n".encode()
    assert parse_pointer(f"{A}\n{B}\n".encode()) == ((A, B), ())


@given(st.lists(md5s, unique=True, max_size=8))
def test_what_is_written_comes_back(lines: list[str]) -> None:
    assert parse_pointer(format_pointer(lines)).md5s == tuple(lines)


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    pointer = parse_pointer(data)
    assert pointer.md5s or pointer.notes


@pytest.mark.parametrize(
    ("data", "expected", "notes"),
    [
        (b"", (), 1),
        (b"\n\n", (), 1),
        (f"{A}\n{B[:10]}".encode(), (A,), 1),
        (f"{A[:31]}\n{B}\n".encode(), (B,), 1),
        (f"{A}".encode(), (A,), 0),
        (f"\ufeff{A.upper()}\r\n{B} \r\n".encode(), (A, B), 0),
        (f"{A}\n{A}\n{B}\n".encode(), (A, B), 0),
        (f"{A}{B}\n{C}\n".encode(), (C,), 1),
        (b"\x00" * 33 + b"\n" + C.encode(), (C,), 1),
        (b"../../etc/passwd\n" + C.encode(), (C,), 1),
    ],
)
def test_damage_costs_only_the_damaged_lines(data: bytes, expected: tuple[str, ...], notes: int) -> None:
    pointer = parse_pointer(data)
    assert pointer.md5s == expected
    assert len(pointer.notes) == notes


def test_a_huge_pointer_is_cut_with_a_note() -> None:
    pointer = parse_pointer(f"{A}\n".encode() + b" " * MAX_POINTER_BYTES)
    assert pointer.md5s == (A,)
    assert "only the first" in pointer.notes[0]


def test_only_md5s_can_be_written() -> None:
    for bad in ("", A[:-1], A.upper(), A + "\n", "../" + A):
        with pytest.raises(ValueError, match="no MD5"):
            format_pointer([bad])


@pytest.mark.promise("S4-X02", "S4-074", "S4-048")
def test_the_latest_is_always_first_and_the_list_never_too_long() -> None:
    assert advance([], A, 5) == (A,)
    assert advance([B, A], A, 5) == (A, B)
    assert advance([A, B], A, 5) == (A, B)
    assert advance([B, C], A, 2) == (A, B)
    assert advance([B, C], A, 0) == (A,)
