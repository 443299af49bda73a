"""The plan of a scan: what was found against what is known."""

from hypothesis import given
from hypothesis import strategies as st

from catalog.entries.folder_comparison import UNREAD, compare, sidecar_signature
from catalog.scanning.plan import too_many_gone, under

ENTRIES = st.dictionaries(
    st.text(min_size=1, max_size=3),
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["", "s"])),
    max_size=8,
)


@given(ENTRIES, ENTRIES)
def test_every_entry_is_counted_once(found, known):
    plan = compare(found, known, is_complete=True)
    if plan is None:
        assert found == known
        return
    assert set(plan.added) == found.keys() - known.keys()
    assert set(plan.gone) == known.keys() - found.keys()
    assert set(plan.changed) == {name for name in found.keys() & known.keys() if found[name] != known[name]}
    assert plan.unchanged == len(found.keys() & known.keys()) - len(plan.changed)


@given(ENTRIES, ENTRIES)
def test_nothing_is_gone_from_a_folder_that_could_not_be_read_completely(found, known):
    plan = compare(found, known, is_complete=False)
    assert plan is None or plan.gone == []


def test_an_entry_that_could_not_be_read_is_tried_again():
    plan = compare({"a": (1, 2, "")}, {"a": (1, 2, UNREAD)}, is_complete=True)
    assert plan.changed == ["a"]


def test_guard_trips_above_a_fifth_less_what_moved():
    assert not too_many_gone(20, 100)
    assert too_many_gone(21, 100)
    assert not too_many_gone(60, 100, probably_moved=55)
    assert not too_many_gone(0, 0)


def test_signature_changes_with_name_size_and_time_of_a_sidecar():
    facts = {"a.xmp": (10, 5), "a.json": (3, 7)}
    assert sidecar_signature({}, facts) == ""
    both = sidecar_signature({"xmp": "a.xmp", "takeout": "a.json"}, facts)
    assert both == sidecar_signature({"takeout": "a.json", "xmp": "a.xmp"}, facts)
    assert (
        len({both, sidecar_signature({"xmp": "a.xmp"}, facts), sidecar_signature({"xmp": "a.xmp"}, {"a.xmp": (11, 5)})})
        == 3
    )


def test_under():
    assert under("a/b/c", {"a/b"}) and under("a", {"a"}) and under("anything", {""})
    assert not under("ab/c", {"a"}) and not under("a", {"a/b"}) and not under("a", set())
