"""Reports of lost identity (K08 of the corpus): a newcomer under the name of a deleted photo is another photo."""

import shutil
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import call_command

from catalog.edits.stars import star
from catalog.files.trash import restore_items, trash_photos
from catalog.models import Library, Photo, TrashItem
from operations.models import Operation, State
from operations.running import execute
from tests.corpus import REPORTS, needs_reports
from tests.drills.acknowledged.moving import at, library_of, scan

pytestmark = [
    pytest.mark.django_db,
    needs_reports,
]


def bring(case: str, folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(REPORTS / case / name, folder / Path(name).name)


def given(photo: Photo) -> tuple[UUID, int | None, str]:
    return photo.pk, photo.rating, photo.caption


def restore(library: Library) -> None:
    assert restore_items(library.owner, library, [TrashItem.objects.get().pk]).count == 1
    execute(Operation.objects.get(kind="scan", state=State.PENDING).pk)


def test_another_photo_comes_under_the_name_of_a_deleted_one(alice, tmp_path):
    library = library_of(alice, tmp_path / "photos", ratings="database", photos=0)
    folder = Path(library.root)
    bring("K08-trash", folder / "d", "old/a.jpg", "old/a.jpg.xmp")
    scan(library)
    old = at(library, "d/a.jpg")
    star(alice, old.pk, 5)
    assert trash_photos(alice, [old.pk]).count == 1
    bring("K08-trash", folder / "d", "new/a.jpg")
    scan(library)
    new = at(library, "d/a.jpg")
    assert new.pk != old.pk and not new.rating and not new.caption
    restore(library)
    assert given(at(library, "d/a (2).jpg")) == (old.pk, 5, "grandma")
    assert given(at(library, "d/a.jpg")) == (new.pk, None, "")
    assert (folder / "d" / "a (2).jpg.xmp").read_bytes() == (REPORTS / "K08-trash/old/a.jpg.xmp").read_bytes()
    assert not (folder / "d" / "a.jpg.xmp").exists()


@pytest.mark.parametrize("goes", ["trash", "disk"])
def test_another_photo_is_imported_under_the_name_of_one_that_is_gone(alice, tmp_path, settings, goes):
    library = library_of(alice, tmp_path / "photos", ratings="database", photos=0)
    folder = Path(library.root)
    bring("K08-import", folder / "2019" / "05", "old/IMG_1.jpg")
    bring("K08-import", tmp_path / "card", "new/IMG_1.jpg")
    settings.PHOTO_ROOTS = [str(tmp_path)]
    scan(library)
    old = at(library, "2019/05/IMG_1.jpg")
    star(alice, old.pk, 5)
    if goes == "trash":
        assert trash_photos(alice, [old.pk]).count == 1
    else:
        (folder / "2019/05/IMG_1.jpg").unlink()
        scan(library)
    call_command("import_folder", str(tmp_path / "card"), library=str(library.pk))
    new = at(library, "2019/05/IMG_1.jpg")
    assert new.pk != old.pk and not new.rating
    if goes == "trash":
        restore(library)
    else:
        bring("K08-import", folder / "2019" / "05 again", "old/IMG_1.jpg")
        execute(Operation.objects.get(kind="scan", state=State.PENDING).pk)
    there = at(library, "2019/05/IMG_1 (2).jpg" if goes == "trash" else "2019/05 again/IMG_1.jpg")
    assert (there.pk, there.rating) == (old.pk, 5)
    assert at(library, "2019/05/IMG_1.jpg").pk == new.pk
