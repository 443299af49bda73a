"""The same picture in a file with other words is the same photo: edited in its place, edited and moved, or sent again."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from catalog.identity.aliases import current_md5
from catalog.media.exiftool import exiftool_command
from catalog.models import Alias, Favourite, Photo
from tests.catalog.importing.conftest import library  # noqa: F401
from tests.catalog.importing.test_imports import ends, take
from tests.catalog.scanning.test_scan import counts, scan
from tests.photos import make_jpeg

pytestmark = [pytest.mark.django_db, pytest.mark.cache_in_bucket]


def edit(path: Path, *arguments: str) -> None:
    """Change the words of a file as another program would."""
    subprocess.run(
        [*exiftool_command(), "-q", "-overwrite_original", *arguments, str(path)], check=True, capture_output=True
    )
    os.utime(path, (1_600_000_000, 1_600_000_000))


@pytest.fixture
def photo(library):  # noqa: F811
    return Photo.objects.get(library=library)


def test_edited_where_it_lies_its_content_is_followed(library, photo):  # noqa: F811
    edit(Path(library.root) / photo.path, "-IPTC:Keywords=lake", "-Artist=somebody")
    done = counts(scan(library))
    assert (done["changed"], done["moved"], done["added"], done["gone"]) == (1, 0, 0, 0)
    after = Photo.objects.get(library=library)
    assert (
        after.pk == photo.pk and after.photo_md5 != photo.photo_md5 and after.image_digest == photo.image_digest != ""
    )
    assert current_md5(library, photo.photo_md5) == after.photo_md5  # so exports and imports know it
    assert after.replaced_md5 == after.replaced_image == ""


def test_another_picture_under_its_name_is_no_edit_of_it(library, photo):  # noqa: F811
    make_jpeg(Path(library.root) / photo.path, seed=77, mtime=1_600_000_000)
    scan(library)
    assert not Alias.objects.exists()


def test_edited_and_moved_at_once_it_keeps_all_that_hangs_on_it(library, photo, bob):  # noqa: F811
    Favourite.objects.create(user=bob, photo=photo, rating=4)
    old = Path(library.root) / photo.path
    new = Path(library.root) / "elsewhere" / "renamed.jpg"
    new.parent.mkdir()
    shutil.move(old, new)
    edit(new, "-Artist=somebody", "-XMP-xmp:Rating=3")
    make_jpeg(Path(library.root) / "other.jpg", seed=5)
    done = counts(scan(library, confirm_gone=True))
    assert (done["moved"], done["gone"], done["added"]) == (1, 0, 1)
    after = Photo.objects.get(pk=photo.pk)
    assert (after.state, after.path, after.rating) == ("ready", "elsewhere/renamed.jpg", 3)
    assert Favourite.objects.filter(photo=after, user=bob).exists()
    assert current_md5(library, photo.photo_md5) == after.photo_md5
    assert Photo.objects.filter(library=library).count() == 2


def test_where_it_is_not_clear_the_second_decides(library, photo, tmp_path):  # noqa: F811
    """Two shots of a lens cap are the same picture; their dates tell which is which, and without a match neither is moved."""
    root = Path(library.root)
    for number in (1, 2):
        shutil.copy2(root / photo.path, root / f"cap{number}.jpg")
        edit(root / f"cap{number}.jpg", f"-EXIF:DateTimeOriginal=2024:05:17 12:00:0{number}")
    for number in range(10):
        make_jpeg(root / f"filler{number}.jpg", seed=200 + number)
    scan(library)
    ids = {one.filename: one.pk for one in Photo.objects.filter(filename__startswith="cap")}
    (root / "moved").mkdir()
    for number in (1, 2):
        shutil.move(root / f"cap{number}.jpg", root / "moved" / f"x{3 - number}.jpg")
        edit(root / "moved" / f"x{3 - number}.jpg", "-Artist=somebody")
    done = counts(scan(library, confirm_gone=True))
    assert done["moved"] == 2
    assert Photo.objects.get(filename="x2.jpg").pk == ids["cap1.jpg"]
    assert Photo.objects.get(filename="x1.jpg").pk == ids["cap2.jpg"]
    shutil.move(root / "moved" / "x1.jpg", root / "y1.jpg")
    shutil.move(root / "moved" / "x2.jpg", root / "y2.jpg")
    for number in (1, 2):
        edit(root / f"y{number}.jpg", f"-EXIF:DateTimeOriginal=2020:01:01 12:00:0{number}")
    assert counts(scan(library, confirm_gone=True))["moved"] == 0


@pytest.mark.promise("S2-048", "S2-U17")
def test_sent_again_with_other_words_it_is_there_already(library, photo, tmp_path):  # noqa: F811
    card = tmp_path / "card"
    card.mkdir()
    shutil.copy2(Path(library.root) / photo.path, card / "rated.jpg")
    edit(card / "rated.jpg", "-XMP-xmp:Rating=5")
    shutil.copy2(Path(library.root) / photo.path, card / "dated.jpg")
    edit(card / "dated.jpg", "-EXIF:DateTimeOriginal=2001:01:01 01:01:01")
    make_jpeg(card / "new.jpg", seed=3)
    shutil.copy2(card / "new.jpg", card / "new2.jpg")
    edit(card / "new2.jpg", "-Artist=somebody")
    wanted = take(library, card)
    assert {path: end[:2] for path, end in ends(wanted).items()} == {
        "rated.jpg": ("duplicate", "same_picture"),
        "dated.jpg": ("imported", ""),  # the same picture with another date is another photo
        "new.jpg": ("imported", ""),
        "new2.jpg": ("duplicate", "same_picture"),
    }


@pytest.mark.promise("S2-069")
def test_stars_that_a_file_brings_along_are_shown(library, tmp_path):  # noqa: F811
    card = tmp_path / "card"
    edit(make_jpeg(card / "rated.jpg", seed=3), "-XMP-xmp:Rating=4")
    take(library, card)
    photo = Photo.objects.get(library=library, filename="rated.jpg")
    assert photo.rating == 4 and not photo.rating_held
    assert Favourite.objects.get(user=library.owner, photo=photo).rating == 4
