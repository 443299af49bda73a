"""Static files that an interruption left in pieces do not stay, nor keep the site from starting."""

import json
from pathlib import Path

import pytest

from photolala.web import static_files


@pytest.fixture
def folder(settings, tmp_path) -> Path:
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATICFILES_DIRS = [tmp_path / "source"]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    (tmp_path / "source").mkdir()
    for name in ("a.css", "b.css"):
        (tmp_path / "source" / name).write_text(f"/* {name} */")
    return settings.STATIC_ROOT


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.css")}


def test_what_a_loss_of_power_cut_off_is_collected_anew(folder, monkeypatch):
    def dies(*args, **options):
        call_command(*args, **options)
        raise KeyboardInterrupt

    static_files.collect()
    whole = contents(folder)
    call_command = static_files.call_command
    with monkeypatch.context() as patch:
        patch.setattr(static_files, "call_command", dies)
        with pytest.raises(KeyboardInterrupt):
            static_files.collect()
    for path in (*folder.rglob("*.css"), folder / "staticfiles.json"):
        path.write_bytes(b"")
    static_files.collect()
    assert contents(folder) == whole and len(whole) == 2
    assert set(json.loads((folder / "staticfiles.json").read_text())["paths"]) == {"a.css", "b.css"}
