"""The command `backup`: folders, ZIPs and encrypted ZIPs, and proving that they are whole."""

import io
import json
from pathlib import Path
from typing import Any

import pyrage
import pytest
from django.core.management import CommandError, call_command

from exports.backup.encryption import BadKey, check_recipient, decrypt, encrypt, make_key
from exports.models import Backup
from operations.models import Operation

from .conftest import World

PASSPHRASE = "a passphrase that nobody guesses"


def backup(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("backup", *arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\nnot this line\n")
    return path


@pytest.mark.parametrize("packaging", ["folder", "zip"])
def test_it_writes_a_backup_and_proves_it(world: World, tmp_path: Path, packaging: str) -> None:
    target = tmp_path / "disk"
    more = ["--zip"] if packaging == "zip" else []
    result = json.loads(backup("--user", "alice", "--output", str(target), "--json", *more))
    assert (result["albums"], result["notes"], result["media"], result["problem_count"]) == (1, 1, 2, 0)
    (path,) = target.iterdir()
    assert str(path) == result["path"]
    assert path.suffix == (".zip" if packaging == "zip" else "")
    Backup.objects.update(verified_at=None)
    assert "whole" in backup("--verify", str(path))
    assert Backup.objects.get().verified_at is not None
    damaged = path if path.is_file() else path / "notes.json"
    damaged.write_bytes(damaged.read_bytes().replace(b"Hello", b"Hxllo"))
    with pytest.raises(SystemExit) as ended:
        backup("--verify", str(path))
    assert ended.value.code == 1
    assert Backup.objects.get().verified_at is None


def test_an_encrypted_backup_is_opened_by_any_age_tool(world: World, tmp_path: Path, passphrase_file: Path) -> None:
    target = tmp_path / "disk"
    backup("--user", "alice", "--output", str(target), "--passphrase-file", str(passphrase_file))
    key_file, archive = sorted(target.iterdir())
    assert [key_file.name, archive.name] == [archive.name.replace(".zip.age", ".key.age"), archive.name]
    assert archive.read_bytes().startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert key_file.read_text().startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    identity = pyrage.passphrase.decrypt(key_file.read_bytes(), PASSPHRASE).decode().splitlines()[1]
    plain = pyrage.decrypt(archive.read_bytes(), [pyrage.x25519.Identity.from_str(identity)])
    assert b"Hello" in plain
    assert b"Hello" not in archive.read_bytes()
    for rows in (Backup.objects.values(), Operation.objects.values()):
        assert PASSPHRASE not in str(list(rows))
        assert "AGE-SECRET-KEY" not in str(list(rows))
    assert "whole" in backup("--verify", str(archive), "--passphrase-file", str(passphrase_file))
    passphrase_file.write_text("another passphrase\n")
    with pytest.raises(CommandError, match="does not open"):
        backup("--verify", str(archive), "--passphrase-file", str(passphrase_file))
    assert sorted(target.iterdir()) == [key_file, archive], "nothing decrypted is left"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--user", "nobody", "--output", "{}"], "no user called 'nobody'"),
        (["--user", "alice"], "Say with --output"),
        (["--user", "alice", "--output", "{}", "--everything"], "Only an administrator"),
        (["--user", "alice", "--output", "{}", "--recipient", "age1no"], "no public key of age"),
        (["--user", "alice", "--output", "{}", "--passphrase-file", "{}/no"], "cannot be read"),
        (["--user", "alice", "--output", "{}", "--passphrase-file", "{}/short"], "at least 10 characters"),
    ],
)
def test_wrong_usage_is_told_and_writes_nothing(world: World, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "short").write_text("short\n")
    with pytest.raises(CommandError, match=words) as raised:
        backup(*(one.format(tmp_path / "disk") for one in arguments))
    assert raised.value.returncode == 2
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["short"]
    assert not Backup.objects.exists()


def test_streams_are_encrypted_in_pieces_and_raise_what_they_raised() -> None:
    key = make_key(PASSPHRASE)
    assert check_recipient(f" {key.recipient}\n") == key.recipient
    sealed, again = io.BytesIO(), io.BytesIO()
    encrypt(io.BytesIO(b"x" * 200_000), sealed, key.recipient)
    decrypt(io.BytesIO(sealed.getvalue()), again, key.key_file, PASSPHRASE)
    assert again.getvalue() == b"x" * 200_000
    with pytest.raises(BadKey, match="damaged"):
        decrypt(io.BytesIO(sealed.getvalue()[:-1]), io.BytesIO(), key.key_file, PASSPHRASE)

    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        encrypt(io.BytesIO(b"x" * 200_000), Full(), key.recipient)
