"""Which files are media, and which files beside them belong to them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from catalog.entries.jobs import photos_in
from catalog.sources.base import Directory
from catalog.sources.kinds import Companions, companions_in, is_media_name, sidecar_target, sidecars_in, why_left_out
from catalog.sources.local import LocalSource


def test_media_names() -> None:
    yes = ["a.jpg", "A.JPEG", b"\xff\xfe.heic", "x.y.CR2", "clip.MOV"]
    no = ["a.txt", ".hidden.jpg", "._IMG_0003.JPG", "jpg", "a.jpg~", "a.JPG.part", "a.aae", "a.xmp", "a.jpg.json"]
    assert all(is_media_name(name) for name in yes)
    assert not any(is_media_name(name) for name in no)


def test_every_extension_of_cameras_counts() -> None:
    videos = "vob ts 3gpp mod tod dv flv ogv asf mpe m2t mxf insv f4v mts m2ts wmv avi 3g2 m2v mkv webm qt"
    pictures = "insp psb gpr fff mef mos ori jpx j2k iiq rwl 3fr jif"
    assert [one for one in f"{videos} {pictures}".split() if not is_media_name(f"a.{one.upper()}")] == []


def test_typescript_and_music_are_no_videos() -> None:
    files = [("a.ts", 7144, 1), ("app.ts", 5210, 1), ("b.TS", 192 * 40, 1), ("c.mod", 4096, 1), ("c.jpg", 10, 1)]
    files += [("empty.ts", 0, 1), ("go.mod", 211, 1), ("large.ts", 9_000_001, 1), ("song.mod", 84_484, 1)]
    assert set(photos_in(Directory("", files))) == {"a.ts", "b.TS", "c.mod", "c.jpg", "large.ts"}


def test_names_that_only_look_like_photos_are_told(tmp_path: Path) -> None:
    for name in ("a.jpg.", "b.JPG ", ".jpg", ".hidden", "notes.", "c.jpg", ".DS_Store", ".ts"):
        (tmp_path / name).write_bytes(b"x")
    with LocalSource(str(tmp_path)) as source:
        directory = source.list_directory("")
    told = {problem.path: problem.reason for problem in directory.problems}
    assert set(told) == {"a.jpg.", "b.JPG ", ".jpg"} and directory.is_complete
    assert "ends with a dot" in told["a.jpg."] and "hidden" in told[".jpg"]
    assert set(photos_in(directory)) == {"c.jpg"} and why_left_out("c.jpg") == ""


def test_xmp_by_full_name_goes_before_xmp_by_stem() -> None:
    names = ["both.jpg", "both.jpg.xmp", "both.xmp", "base.jpg", "base.xmp", "UPPER.JPG", "UPPER.XMP", "orphan.cr2.xmp"]
    assert sidecars_in(names) == {
        "both.jpg": {"xmp": "both.jpg.xmp"},
        "base.jpg": {"xmp": "base.xmp"},
        "UPPER.JPG": {"xmp": "UPPER.XMP"},
    }


def test_xmp_by_stem_only_when_it_can_mean_one_photo() -> None:
    assert sidecars_in(["a.jpg", "a.png", "a.xmp"]) == {}
    assert set(sidecars_in(["a.jpg", "a.cr2", "a.xmp"])) == {"a.jpg", "a.cr2"}
    assert sidecars_in(["a.heic", "a.mov", "a.xmp"]) == {}


def test_companions_are_found_however_accents_are_encoded() -> None:
    composed, apart = "M\u00fcller", "Mu\u0308ller"
    names = [f"{apart}.jpg", f"{composed}.jpg.xmp", f"{composed.upper()}.AAE", f"{composed}2.jpg", f"{apart}2.xmp"]
    assert companions_in(names) == {
        f"{apart}.jpg": {"xmp": f"{composed}.jpg.xmp", "aae": f"{composed.upper()}.AAE"},
        f"{composed}2.jpg": {"xmp": f"{apart}2.xmp"},
    }
    assert sidecar_target("xmp", f"{composed}.jpg.xmp", f"{apart}.jpg", "new.jpg") == "new.jpg.xmp"
    assert sidecar_target("xmp", f"{apart}2.xmp", f"{composed}2.jpg", "new.jpg") == "new.xmp"


@pytest.mark.parametrize(
    ("photo", "document"),
    [
        ("IMG_0001.jpg", "IMG_0001.jpg.json"),
        ("IMG_0001(1).jpg", "IMG_0001.jpg(1).json"),
        ("IMG_0001-edited.jpg", "IMG_0001.jpg.json"),
        ("IMG_0001-bearbeitet(1).jpg", "IMG_0001.jpg(1).json"),
        ("PXL_20190801_120000.jpg", "PXL_20190801_120000.jpg.supplemental-metadata.json"),
        ("another_long_name_here_0001.jpg", "another_long_name_here_0001.jpg.supplemental-me.json"),
        ("IMG_2(3).jpg", "IMG_2.jpg.supplemental-metadata(3).json"),
        (
            "a_very_long_original_file_name_from_a_camera_that_goes_on.jpg",
            "a_very_long_original_file_name_from_a_camera_.json",
        ),
        ("a_very_long_original_file_name_from_a_camera_.jpg", "a_very_long_original_file_name_from_a_camera_.json"),
        *[
            (f"IMG_7{suffix}.jpg", "IMG_7.jpg.supplemental-metadata.json")
            for suffix in (
                "-ha editado",
                "-DÜZENLENDI",
                "-편집됨",
                "-smile",
                "-已編輯",
                "-отредактировано",
                "-bewerkt(1)",
            )
        ],
        (unicodedata.normalize("NFD", "IMG_7-modifié.jpg"), "IMG_7.jpg.json"),
        (unicodedata.normalize("NFD", "Müller.jpg"), unicodedata.normalize("NFC", "Müller.jpg.json")),
        (unicodedata.normalize("NFC", "Müller.jpg"), unicodedata.normalize("NFD", "Müller.jpg.json")),
        ("IMG_7-edited.jpg", "IMG_7.HEIC.json"),
        ("IMG_7-edited.mp4", "IMG_7.mp4.json"),
        ("IMG_3.MP4", "IMG_3.HEIC.supplemental-metadata.json"),
        ("IMG_3(1).MP4", "IMG_3.HEIC(1).json"),
        ("IMG_3.JPG", "IMG_3.HEIC.json"),
        # Cut to 46 units of UTF-16 before `.json`: an emoji counts as two, and may be cut in its middle.
        ("\U0001f600" * 24 + ".jpg", "\U0001f600" * 23 + ".json"),
        ("photo_45_abcdefghijklmnopqrstuvwxyzabcdef.jpg", "photo_45_abcdefghijklmnopqrstuvwxyzabcdef.jpg..json"),
        ("a_very_long_original_file_name_from_a_cam-edi.jpg", "a_very_long_original_file_name_from_a_cam.jpg..json"),
        ("IMG_8(2).jpg", "IMG_8.jpg.json"),  # the number was forgotten
    ],
)
def test_takeout_names(photo: str, document: str) -> None:
    others = ["metadata.json", "IMG_0001.jpg.json", "IMG_0001.jpg(1).json", "unrelated.jpg", "unrelated.png.json"]
    assert sidecars_in([photo, document, *others])[photo] == {"takeout": document}


def test_a_document_of_another_photo_is_not_taken() -> None:
    assert "IMG_0002.jpg" not in sidecars_in(["IMG_0002.jpg", "IMG_0001.jpg.json", "IMG_0002.jpg(1).json", "IMG.json"])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        # In a language that nobody listed: the original beside it tells.
        (["IMG_7.jpg", "IMG_7-tuk.jpg", "IMG_7.jpg.json"], {"IMG_7.jpg", "IMG_7-tuk.jpg"}),
        (["IMG_7-tuk.jpg", "IMG_7.jpg.json"], set()),
        (["Paris.jpg", "Paris-2.jpg", "Paris.jpg.json"], {"Paris.jpg"}),
        # The number is not forgotten where another photo has the title.
        (["IMG_8.jpg", "IMG_8(1).jpg", "IMG_8.jpg.json"], {"IMG_8.jpg"}),
        (["IMG_8.jpg", "IMG_8(1).jpg", "IMG_8-edited(1).jpg", "IMG_8.jpg.json"], {"IMG_8.jpg"}),
        # A video that is no part of a Live Photo has its own document.
        (["IMG_3.HEIC", "IMG_3.MP4", "IMG_3.MP4.json"], {"IMG_3.MP4"}),
        (["IMG_3.HEIC", "IMG_3.JPG", "IMG_3.HEIC.json"], {"IMG_3.HEIC"}),
        (["a.jpg", "a.png.json", "b.json", "bb.jpg"], set()),
    ],
)
def test_whose_document_it_is_not(names: list[str], found: set[str]) -> None:
    assert set(sidecars_in(names)) == found


def test_videos_without_an_extension_travel_with_their_picture() -> None:
    motion = [
        "MVIMG_20180722_120942.jpg",
        "MVIMG_20180722_120942",
        "PXL_1.MP.jpg",
        "PXL_1.MP",
        "PXL_2.jpg",
        "PXL_2.MP~2",
    ]
    assert companions_in([*motion, "holiday.jpg", "holiday"]) == {
        "MVIMG_20180722_120942.jpg": {"motion": "MVIMG_20180722_120942"},
        "PXL_1.MP.jpg": {"motion": "PXL_1.MP"},
    }
    assert sidecars_in(motion) == {}


def test_what_apple_puts_beside_photos_travels_with_them() -> None:
    names = ["IMG_1234.HEIC", "IMG_1234.MOV", "IMG_1234.xmp", "IMG_1234.AAE", "IMG_O1234.aae", "IMG_E1234.JPG", "a.AAE"]
    beside = {"aae": "IMG_1234.AAE", "first_aae": "IMG_O1234.aae", "shot_xmp": "IMG_1234.xmp"}
    assert companions_in(names) == {"IMG_1234.HEIC": beside, "IMG_1234.MOV": beside}
    assert companions_in(["IMG_1.HEIC", "IMG_1.JPG", "IMG_1.MOV", "IMG_1.xmp"]) == {}  # one of three
    assert companions_in(["b.jpg", "b.xmp"]) == {"b.jpg": {"xmp": "b.xmp"}}
    assert sidecar_target("first_aae", "IMG_O1234.AAE", "IMG_1234.HEIC", "IMG_1234 (2).HEIC") == "IMG_O1234 (2).AAE"
    assert Companions(beside).renamed("IMG_1234.HEIC", "IMG_1234 (2).HEIC") == {
        "IMG_1234.AAE": "IMG_1234 (2).AAE",
        "IMG_O1234.aae": "IMG_O1234 (2).aae",
        "IMG_1234.xmp": "IMG_1234 (2).xmp",
    }


def test_many_names_cost_a_look_up_each() -> None:
    names = [f"IMG_{number:06}.jpg" for number in range(20_000)]
    names += [f"{name}.json" for name in names]
    found = sidecars_in(names)
    assert len(found) == 20_000 and found["IMG_019999.jpg"] == {"takeout": "IMG_019999.jpg.json"}
