"""A library with one photo, and a folder from which files are imported into it."""

import pytest

from catalog.libraries.adding import add_library
from tests.catalog.scanning.test_scan import scan
from tests.photos import make_jpeg


@pytest.fixture
def library(alice, tmp_path, settings):
    root = tmp_path / "library"
    make_jpeg(root / "2020" / "old.jpg", seed=900, taken="2020:01:02 03:04:05")
    settings.PHOTO_ROOTS = [str(tmp_path)]
    library = add_library(alice, str(root))
    scan(library)
    return library


@pytest.fixture
def card(tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    return folder
