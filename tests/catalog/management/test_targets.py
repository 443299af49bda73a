"""How commands find the library that they are told."""

import os

import pytest
from django.core.management.base import CommandError

from catalog.management.targets import known_library
from catalog.models import Library
from photolala.lib.paths import escape_path

pytestmark = pytest.mark.django_db


def test_a_library_is_named_by_its_id_its_folder_or_its_bucket(alice, tmp_path, monkeypatch):
    folder = tmp_path / "home" / os.fsdecode(b"Gr\xfc\xdfe")
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    local = Library.objects.create(owner=alice, name="Local", root=escape_path(os.fsencode(folder)))
    far = Library.objects.create(owner=alice, name="Far", root="s3://photos/family", source="s3")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for target in (str(local.pk), str(folder), f"{folder}/", str(tmp_path / "link"), f"~/{folder.name}"):
        assert known_library(target) == local
    assert known_library("s3://photos/family") == far
    with pytest.raises(CommandError, match=r"is no library.*Nothing was changed"):
        known_library(str(tmp_path))
