"""The command `restore`: for operators, with exit codes that scripts rely on."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Album
from exports.bundle import layout
from tests.exports.conftest import Cast

from .bundles import album, attached, bundle, note


def test_it_compares_then_restores(cast: Cast, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(bundle(tmp_path / "backup", {layout.ALBUMS: [album()]}))
    call_command("restore", path, "--user", "alice", "--mode", "merge", "--dry-run")
    assert capsys.readouterr().out == "This would be changed:\n  album: 1 create\n"
    assert not Album.objects.exists()
    call_command("restore", path, "--user", "alice", "--mode", "merge", "--json")
    result = json.loads(capsys.readouterr().out)
    assert (result["counts"], result["dry_run"]) == ({"album": {"create": 1}}, False)
    assert Album.objects.get().owner == cast.alice


def test_what_cannot_be_used_ends_with_1_and_is_said(
    cast: Cast, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(bundle(tmp_path / "backup", {layout.NOTES: [note(attachments=[attached(b"gone")])]}))
    with pytest.raises(SystemExit) as ended:
        call_command("restore", path, "--user", "alice", "--mode", "merge")
    assert ended.value.code == 1
    assert "Its file picture.png is not in the backup, nor here: it is left out." in capsys.readouterr().out


def test_wrong_use_ends_with_2(cast: Cast, tmp_path: Path) -> None:
    for arguments in (["/nowhere", "--user", "alice"], [str(tmp_path), "--user", "nobody"]):
        with pytest.raises(CommandError, match="Nothing was restored") as refused:
            call_command("restore", *arguments, "--mode", "merge")
        assert refused.value.returncode == 2
