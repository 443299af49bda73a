"""Key files are opened also where the machine is busy, and what is said of those that are not is true."""

import io
from base64 import b64encode

import pyrage
import pytest

from exports.backup.encryption import BadKey, decrypt

pytestmark = pytest.mark.once


def key_file(work: int) -> str:
    """Return a key file for which so many doublings of work are to be done; no passphrase opens it."""
    salt, body, mac = (b64encode(bytes(size)).decode().rstrip("=") for size in (16, 32, 32))
    text = f"age-encryption.org/v1\n-> scrypt {salt} {work}\n{body}\n--- {mac}\n".encode() + bytes(40)
    return f"-----BEGIN AGE ENCRYPTED FILE-----\n{_lines(text)}-----END AGE ENCRYPTED FILE-----\n"


def _lines(data: bytes) -> str:
    text = b64encode(data).decode()
    return "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))


@pytest.mark.parametrize(("work", "words"), [(40, "too busy"), (1, "passphrase does not open")])
def test_why_a_key_file_is_not_opened_is_said(work: int, words: str) -> None:
    with pytest.raises(BadKey, match=words):
        decrypt(io.BytesIO(), io.BytesIO(), key_file(work), "a passphrase")


def test_a_machine_that_seems_too_slow_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = pyrage.x25519.Identity.generate()
    really, tries = pyrage.passphrase.decrypt, 0

    def busy_twice(data: bytes, passphrase: str) -> bytes:
        nonlocal tries
        tries += 1
        return really(key_file(40).encode(), passphrase) if tries < 3 else f"{identity}\n".encode()

    monkeypatch.setattr(pyrage.passphrase, "decrypt", busy_twice)
    target = io.BytesIO()
    decrypt(io.BytesIO(pyrage.encrypt(b"what alice made", [identity.to_public()])), target, "key file", "a passphrase")
    assert target.getvalue() == b"what alice made"
