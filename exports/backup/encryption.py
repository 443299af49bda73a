"""Encrypts backups so that any age tool opens them (https://age-encryption.org/v1), through rage's bindings.

A backup is encrypted for a recipient: who writes it needs no secret, so that a schedule has none either. With a passphrase
a new identity is made for it, and kept only encrypted by that passphrase, as `age -p` would: the key file.
`age -d -i NAME.key.age NAME.zip.age` asks for the passphrase.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, BinaryIO, NamedTuple

import pyrage

LEAST_CHARACTERS = 10
MOST_TRIES = 10
"""So often a key file is tried while the machine seems too slow; each try that fails so takes milliseconds."""


class BadKey(ValueError):
    """The recipient, passphrase or key file is none that can be used; the text is a sentence."""


class Key(NamedTuple):
    """A recipient (public), and its identity as encrypted by a passphrase (ASCII-armored; public, too)."""

    recipient: str
    key_file: str


def make_key(passphrase: str) -> Key:
    """Return a new key that this passphrase opens. Takes a second, on purpose. Raises BadKey if the passphrase is too short."""
    if len(passphrase) < LEAST_CHARACTERS:
        raise BadKey(f"A passphrase has at least {LEAST_CHARACTERS} characters. Nothing was changed.")
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    text = f"# public key: {recipient}\n{identity}\n"
    return Key(recipient, pyrage.passphrase.encrypt(text.encode(), passphrase, armored=True).decode())


def check_recipient(text: str) -> str:
    """Return the recipient if it is one (`age1…`). Raises BadKey."""
    try:
        return str(pyrage.x25519.Recipient.from_str(text.strip()))
    except (pyrage.RecipientError, ValueError):
        raise BadKey("This is no public key of age: it begins with age1. Nothing was changed.") from None


def encrypt(source: BinaryIO, target: BinaryIO, recipient: str) -> None:
    """Encrypt all of `source` into `target`, piece by piece. What both of them raise passes through. Raises BadKey."""
    _piped(pyrage.encrypt_io, source, target, pyrage.x25519.Recipient.from_str(check_recipient(recipient)))


def decrypt(source: BinaryIO, target: BinaryIO, key_file: str, passphrase: str) -> None:
    """Decrypt all of `source` into `target`. Raises BadKey if the passphrase is wrong, or it is not encrypted for this key."""
    text = _opened(key_file, passphrase)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    try:
        identity = pyrage.x25519.Identity.from_str(lines[0])
    except (pyrage.IdentityError, IndexError):
        raise BadKey("The key file has no identity of age in it.") from None
    _piped(pyrage.decrypt_io, source, target, identity)


def _opened(key_file: str, passphrase: str) -> str:
    """Return what is in a key file. Raises BadKey.

    The library measures how fast this machine is, each time anew, and refuses a key file that takes much longer than a
    second: on a busy one also with the right passphrase, and one that was made on this very machine.
    """
    for _ in range(MOST_TRIES):
        try:
            return pyrage.passphrase.decrypt(key_file.encode(), passphrase).decode()
        except ValueError:
            break
        except pyrage.DecryptError as error:
            if "excessive work" not in str(error).lower():
                break
    else:
        raise BadKey(
            "This machine is too slow, or too busy just now, to open this key file. Try again later, or decrypt the backup with "
            "age elsewhere."
        )
    raise BadKey("The passphrase does not open this key file.")


def _piped(work: Callable[..., object], source: BinaryIO, target: BinaryIO, key: object) -> None:
    """Do the work; what a stream raised is raised as it was, all else is BadKey."""
    reader, writer = _Remembering(source.read), _Remembering(target.write)
    streams = SimpleNamespace(read=reader), SimpleNamespace(write=writer, flush=target.flush)
    try:
        work(*streams, [key])
    except (pyrage.EncryptError, pyrage.DecryptError, OSError):
        for stream in (reader, writer):
            if stream.error is not None:
                raise stream.error from None
        raise BadKey("The backup is damaged, or encrypted for another key.") from None


class _Remembering:
    """A function that knows what it raised."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self.error: BaseException | None = None

    def __call__(self, argument: Any = -1) -> Any:
        try:
            return self._function(argument)
        except BaseException as error:
            self.error = error
            raise
