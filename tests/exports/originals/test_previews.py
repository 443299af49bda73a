"""Previews beside copies: of the chosen size, made once, recorded, and no reason for a photo to fail."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from exports.destinations.changing import change_destination
from exports.destinations.folders import add_destination
from exports.destinations.records import ledger_of
from exports.models import ExportDestination
from exports.originals.checks import start_verification
from exports.originals.previews import PREVIEW_KEY, PreviewExport, preview_name
from exports.originals.requests import start_folder_export
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_jpeg, make_photo


@pytest.fixture
def destination(cast: Any, tmp_path: Path) -> ExportDestination:
    make_photo(cast.library, "large.jpg", data=make_jpeg(3000, 1500, seed=1))
    make_photo(cast.library, "broken.jpg", data=b"no picture at all")
    made = add_destination(cast.alice, "Disk", str(tmp_path / "allowed" / "disk"), "out/")
    change_destination(made, {"preview_px": 1024})
    return made


def export(cast: Any, destination: ExportDestination) -> Operation:
    ended = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert ended is not None
    assert ended.state == State.COMPLETED, ended.error
    return ended


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(io.BytesIO(file.read_bytes())) as picture:
        assert picture.format == "JPEG"
        return picture.size


def test_each_copy_gets_one_of_the_chosen_size_once(cast: Any, destination: ExportDestination) -> None:
    first = export(cast, destination)
    out = destination.path / "out"
    assert first.result["previews"] == 1
    assert size_of(out / "large.jpg.preview.jpg") == (1024, 512)
    assert sorted(path.name for path in out.iterdir()) == ["broken.jpg", "large.jpg", "large.jpg.preview.jpg"]
    told = {record.filename: record.extra[PREVIEW_KEY] for record in ledger_of(destination).state.sorted_records()}
    assert told["large.jpg"]["filename"] == "large.jpg.preview.jpg"
    assert told["broken.jpg"]["filename"] is None
    assert [one["path"] for one in first.result["problems"]] == ["broken.jpg"], "it is told once"
    again = export(cast, destination)
    assert (again.result["previews"], again.result["problem_count"]) == (0, 0)
    change_destination(destination, {"preview_px": 2560})
    assert export(cast, destination).result["previews"] == 1
    assert size_of(out / "large.jpg.preview (1).jpg") == (2560, 1280)
    assert size_of(out / "large.jpg.preview.jpg") == (1024, 512), "nothing is overwritten"


def test_copies_of_before_get_theirs_and_a_killed_run_makes_none_twice(
    cast: Any, destination: ExportDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_destination(destination, {"preview_px": 0})
    assert export(cast, destination).result["previews"] == 0

    class Killed(BaseException):
        pass

    real = PreviewExport._copy

    def kill(self: PreviewExport, *arguments: Any) -> Any:
        real(self, *arguments)
        raise Killed

    change_destination(destination, {"preview_px": 1024})
    operation = start_folder_export(cast.alice, cast.library, destination)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(PreviewExport, "_copy", kill)
        execute(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(lease_until=None, attempts=0)
    ended = execute(operation.pk)
    assert ended is not None
    assert (ended.state, ended.result["previews"], ended.result["skipped"]) == (State.COMPLETED, 0, 2)
    assert [path.name for path in (destination.path / "out").glob("*preview*")] == ["large.jpg.preview.jpg"]


def test_its_name_fits_on_any_disk() -> None:
    assert preview_name("IMG_1.HEIC") == "IMG_1.HEIC.preview.jpg"
    assert len(preview_name("ü" * 127).encode()) <= 255
    assert preview_name("ü" * 127).endswith(".preview.jpg")


def test_page_and_api_choose_the_size(cast: Any, destination: ExportDestination, api: Any, browser: Any) -> None:
    address = f"/api/v1/export-destinations/{destination.pk}/"
    assert api(cast.alice).get(address).json()["preview_px"] == 1024
    assert api(cast.alice).patch(address, {"preview_px": 1600}, format="json").json()["preview_px"] == 1600
    assert api(cast.alice).patch(address, {"preview_px": 7}, format="json").status_code == 400
    sent = {"name": "Disk", "template": "out/", "schedule_hour": 3, "schedule_weekday": 0, "preview_px": 2560}
    assert browser(cast.alice).post(f"/destinations/{destination.pk}/change/", sent).status_code == 302
    destination.refresh_from_db()
    assert destination.preview_px == 2560
    shown = browser(cast.alice).get(f"/destinations/{destination.pk}/").content.decode()
    assert '<option value="2560" selected>' in shown


def verify(cast: Any, destination: ExportDestination, *, repair: bool = False) -> dict[str, Any]:
    ended = execute(start_verification(cast.alice, destination, repair=repair).pk)
    assert ended is not None
    assert ended.state == State.COMPLETED, ended.error
    return ended.result


def figures(result: dict[str, Any]) -> dict[str, int]:
    names = ("whole", "missing", "damaged", "repaired", "failed")
    return {name: result[name] for name in names if result[name]}


def test_a_check_reads_them_and_a_repair_makes_bad_ones_again(cast: Any, destination: ExportDestination) -> None:
    make_photo(cast.library, "other.jpg", data=make_jpeg(1500, 3000, seed=2))
    export(cast, destination)
    out = destination.path / "out"
    assert figures(verify(cast, destination)) == {"whole": 5}
    rotten, gone = out / "large.jpg.preview.jpg", out / "other.jpg.preview.jpg"
    whole = rotten.read_bytes()
    rotten.write_bytes(whole[:-1] + b"!")
    gone.unlink()
    found = verify(cast, destination)
    assert figures(found) == {"whole": 3, "damaged": 1, "missing": 1, "failed": 2}
    assert {one["path"] for one in found["problems"]} == {"out/large.jpg.preview.jpg", "out/other.jpg.preview.jpg"}
    change_destination(destination, {"preview_px": 0})
    in_vain = verify(cast, destination, repair=True)
    assert figures(in_vain) == {"whole": 3, "damaged": 1, "missing": 1, "failed": 2}
    assert "no previews any more" in in_vain["problems"][-1]["reason"]
    assert figures(verify(cast, destination)) == {"whole": 3, "failed": 2}, "they stay bad until they are made again"
    change_destination(destination, {"preview_px": 1024})
    assert figures(verify(cast, destination, repair=True)) == {"whole": 3, "repaired": 2}
    assert (out / "large.jpg.preview (1).jpg").read_bytes() == whole
    assert (rotten.read_bytes()[-1:], size_of(gone)) == (b"!", (512, 1024))
    assert figures(verify(cast, destination)) == {"whole": 5}


def test_an_export_makes_a_preview_again_that_a_check_found_bad(cast: Any, destination: ExportDestination) -> None:
    export(cast, destination)
    (destination.path / "out" / "large.jpg.preview.jpg").unlink()
    change_destination(destination, {"preview_px": 0})
    verify(cast, destination, repair=True)
    change_destination(destination, {"preview_px": 1024})
    assert export(cast, destination).result["previews"] == 1
    assert figures(verify(cast, destination)) == {"whole": 3}
