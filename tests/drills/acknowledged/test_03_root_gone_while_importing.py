"""The library's disk is unplugged in the middle of an import: nothing is said to be in the library that is not on its disk."""

import pytest

from tests.drills.acknowledged.importing import Bench, go_on, may_mount

COUNT = 24


@pytest.fixture(params=[False, True] if may_mount() else [False], ids=lambda mounts: "umount" if mounts else "swapped")
def bench(tmp_path, request):
    bench = Bench(tmp_path, COUNT, is_mounted=request.param)
    yield bench
    bench.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "when", "number"),
    [
        ("catalog.importing.placer:Placer.place", "before", 2),
        ("catalog.importing.placer:copy_into", "after", 15),
        ("catalog.importing.placer:Placer.settle", "before", 2),
    ],
)
def test_an_unplugged_disk_ends_the_import_and_nothing_lies_elsewhere(bench, step, when, number):
    frozen = bench.begin(step, when, "freeze", number)
    bench.unplug()
    _, said = go_on(frozen)
    assert bench.drill.ask("SELECT state, error_code FROM operations_operation WHERE kind = 'import'") == (
        "failed",
        "root_unavailable",
    ), said
    assert "Was its disk or share unplugged? Mount it, then retry." in said
    assert list(bench.root.iterdir()) == []
    acknowledged = bench.count("state = 'imported' AND NOT is_sidecar")
    assert 0 < acknowledged < COUNT
    assert bench.drill.ask("SELECT count(*) FROM catalog_photo WHERE state = 'ready'") == (acknowledged + 1,)
    bench.plug_in()
    code, result = bench.finish()
    assert (code, result["rejected"]) == (0, 0)
    bench.check_all_is_there_once()
