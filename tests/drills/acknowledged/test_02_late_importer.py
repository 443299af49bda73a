"""An importer that was frozen past its lease, and goes on after another one took over, changes nothing at all."""

import pytest

from tests.drills.acknowledged.importing import Bench, go_on

COUNT = 12


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, COUNT)
    yield bench
    bench.close()


def everything(bench):
    """Return what must not change any more: files with their times, and rows."""
    files = {
        str(path.relative_to(bench.root)): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in bench.root.rglob("*")
        if path.is_file()
    }
    rows = [
        bench.drill.ask(f"SELECT group_concat({what}, char(10)) FROM (SELECT * FROM {table} ORDER BY id)")
        for table, what in (
            ("catalog_importitem", "filename || state || target_directory || target_filename || reason"),
            ("catalog_photo", "id || directory || filename || state || claim_token || photo_md5"),
            ("catalog_import", "id || coalesce(finished_at, '') || error"),
            ("operations_operation", "id || state || token || result"),
        )
    ]
    return files, rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "when", "number"),
    [
        ("catalog.importing.placer:Placer.reserve", "after", 1),  # the hidden names are made
        ("catalog.importing.placer:Placer.place", "before", 1),  # the claim is checked
        ("catalog.sources.placing:rename_to_free_name", "before", 3),  # copied, not renamed
        ("catalog.importing.placer:Placer.place", "after", 1),  # all lie there, without rows
        ("catalog.importing.placer:Placer.settle", "after", 1),
        ("catalog.importing.outcomes:Outcomes.discard", "before", 1),
        ("catalog.importing.finishing:Finishing._bring_late", "after", 1),
    ],
)
def test_a_late_importer_changes_nothing(bench, step, when, number):
    (bench.card / "IMG_99.JPG.xmp").write_text("<x/>")  # a sidecar without its photo
    frozen = bench.begin(step, when, "freeze", number)
    bench.take_the_lease_away()
    code, result = bench.finish()
    (bench.card / "IMG_99.JPG.xmp").unlink()
    assert code in (0, 1) and result["rejected"] == 1
    before = everything(bench)
    _, said = go_on(frozen)
    assert everything(bench) == before, said
    bench.drill.ask("SELECT 1")
    assert not list(bench.root.rglob(".photolala-write*"))
    assert bench.count("state = 'imported'") == COUNT + 1
