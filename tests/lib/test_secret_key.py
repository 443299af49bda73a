"""The secret key: one for all processes, however they start."""

import os
import stat
import subprocess
import sys

import pytest

from photolala.lib.secret_key import secret_key_in


def test_all_that_start_at_once_get_the_same_key(tmp_path):
    folder = str(tmp_path / "d")
    code = f"from photolala.lib.secret_key import *; print(secret_key_in(Path({folder!r})))"
    starting = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    keys = {process.communicate(timeout=60)[0].strip() for process in starting}
    assert len(keys) == 1 and len(keys.pop()) > 60
    assert os.listdir(tmp_path / "d") == ["secret_key"]
    assert stat.S_IMODE((tmp_path / "d" / "secret_key").stat().st_mode) == 0o600


def test_another_process_that_was_faster_wins(tmp_path, monkeypatch):
    def slower(source, target):
        target.write_text("k" * 60)
        raise FileExistsError

    monkeypatch.setattr(os, "link", slower)
    assert secret_key_in(tmp_path) == "k" * 60


def test_a_file_system_without_hard_links_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    assert len(secret_key_in(tmp_path)) > 60 and os.listdir(tmp_path) == ["secret_key"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        secret_key_in(tmp_path / "file" / "data")
