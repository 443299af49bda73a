"""The archives of public bug reports about Google Takeout: what the reports expect, held against one import of both parts."""

import shutil

import pytest

from catalog.models import ImportItem
from tests.catalog.importing.test_imports import files_of, rescan, take
from tests.catalog.importing.test_takeout import albums_of, photos
from tests.corpus import REPORTS, needs_reports

pytestmark = [needs_reports, pytest.mark.django_db]


def test_both_parts_of_the_reported_export(library, card):
    for archive in (REPORTS / "K01-takeout").glob("*.zip"):
        shutil.copy(archive, card)
    take(library, card)
    found = photos(library)
    assert found == {
        "2015/04/IMG_1.jpg": ("2015-04-14T08:26:40Z", 5),  # its document is in the other part
        "2015/04/IMG_2.jpg": ("2015-04-25T22:13:20Z", 5),  # of two copies only one has a document
        "2015/05/IMG_3.HEIC": ("2015-05-07T12:00:00Z", None),
        "2015/05/IMG_3.MP4": ("2015-05-07T12:00:00Z", None),
        "2015/05/IMG_7.jpg": ("2015-05-30T15:33:20Z", None),
        "2015/05/IMG_7-edited.jpg": ("2015-05-30T15:33:20Z", None),
        "2015/06/archived.jpg": ("2015-06-11T05:20:00Z", None),
        "2018/07/MVIMG_20180722_120942.jpg": ("2018-07-22T12:09:42Z", None),
        "2023/02/PXL_20230205_164128403.MP.jpg": ("2023-02-05T16:41:28Z", None),
    }
    told = ImportItem.objects.get(filename="IMG_6.jpg")
    assert (told.state, told.code) == ("rejected", "trashed")
    assert not any("IMG_6" in path for path in files_of(library))
    assert {"2018/07/MVIMG_20180722_120942", "2023/02/PXL_20230205_164128403.MP"} <= files_of(library).keys()
    assert albums_of(library.owner) == {"Holiday": ["IMG_2.jpg"]}
    again = rescan(library)
    assert (again.result["added"], again.result["changed"]) == (0, 0)
