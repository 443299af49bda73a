"""The key that signs sessions: made once, and never seen half-written by another process that starts at that moment."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def secret_key_in(folder: Path) -> str:
    """Return the key kept in `folder`/secret_key (mode 0600); folder and key are made if absent. Raises OSError."""
    path = folder / "secret_key"
    if not path.exists():
        # The database with its password hashes will be beside it: nobody else's business on a shared machine.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    return path.read_text().strip()


def _make(path: Path) -> None:
    aside = path.with_name(f".secret_key.{os.getpid()}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)  # the first one wins, and it is whole
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            if not path.exists():
                aside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()
