"""Read settings from environment variables: typed, and never a silent default for a bad value."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo

from photolala.lib.journals import journal_mode
from photolala.lib.peers import Peers
from photolala.lib.sizes import parse_size


class BadSetting(ValueError):
    """An environment variable holds a value that cannot be used; the text says which, why, and what to write."""


class Environment:
    """Typed reads from `values` (the process's environment by default); an unset or empty variable gives the default."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = os.environ if values is None else values

    def text(self, name: str, default: str = "") -> str:
        """Return the variable's text without surrounding blanks."""
        return self._values.get(name, "").strip() or default

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean: 1/true/yes/on or 0/false/no/off in any case."""
        value = self.text(name).lower()
        if not value:
            return default
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off"}:
            return False
        raise BadSetting(f"{name}={value!r} is neither yes nor no: write 1 or 0.")

    def integer(self, name: str, default: int, *, least: int | None = None, most: int | None = None) -> int:
        """Return a whole number within `least` and `most`."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            raise BadSetting(f"{name}={value!r} is not a whole number.") from None
        if (least is not None and number < least) or (most is not None and number > most):
            raise BadSetting(f"{name}={number} is out of range: write a number from {least} to {most}.")
        return number

    def size_bytes(self, name: str, default_bytes: int) -> int:
        """Return an amount of storage in bytes, written like 10 GB."""
        value = self.text(name)
        try:
            return parse_size(value) if value else default_bytes
        except ValueError as error:
            raise BadSetting(f"{name}={error}") from None

    def words(self, name: str, separator: str = ",") -> list[str]:
        """Return a list: the parts between `separator`, without blanks and empty parts."""
        return [part.strip() for part in self.text(name).split(separator) if part.strip()]

    def pairs(self, name: str) -> dict[str, str]:
        """Return what is written as `a=b,c=d`."""
        found = {}
        for word in self.words(name):
            key, sign, value = (part.strip() for part in word.partition("="))
            if not (key and sign and value):
                raise BadSetting(f"{name}: {word!r} is no pair. Write name=value, with commas between several.")
            found[key] = value
        return found

    def origins(self, name: str) -> list[str]:
        """Return the origins of web pages that are named (`https://app.example.org`), or `["*"]` for all."""
        named = self.words(name)
        if named == ["*"]:
            return named
        for one in named:
            parts = urlsplit(one)
            if not parts.scheme or not parts.hostname or one != f"{parts.scheme}://{parts.netloc}" or "@" in one:
                raise BadSetting(
                    f"{name}: {one!r} is no origin. Write scheme, host and port alone, as https://app.example.org, with commas "
                    "between several; or * alone for all."
                )
        return named

    def peers(self, name: str) -> Peers:
        """Return the addresses and networks that are named, separated by commas."""
        try:
            return Peers.named(self.words(name))
        except ValueError as error:
            raise BadSetting(f"{name}: {error}") from None

    def token(self, name: str, *, least_characters: int = 16) -> str:
        """Return a secret that programs send, "" if unset."""
        value = self.text(name)
        if value and (len(value) < least_characters or not value.isascii() or " " in value):
            raise BadSetting(f"{name} is no good secret: write at least {least_characters} letters and digits.")
        return value

    def roots(self, name: str) -> list[str]:
        """Return a list: the parts between colons, as in PATH; the colon of `s3://` parts nothing."""
        return [part.strip() for part in re.split(r":(?!//)", self.text(name)) if part.strip()]

    def folder(self, name: str, default: Path) -> Path:
        """Return an absolute path (not necessarily there yet)."""
        value = self.text(name)
        path = Path(value).expanduser() if value else default
        return path if path.is_absolute() else Path.cwd() / path

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of `allowed`."""
        value = self.text(name, default)
        if value not in allowed:
            raise BadSetting(f"{name}={value!r} is not known: write one of {', '.join(allowed)}.")
        return value

    def time_zone(self, name: str, default: str) -> str:
        """Return the name of a known time zone."""
        value = self.text(name, default)
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            raise BadSetting(f"{name}={value!r} is no known time zone: write a name like Europe/Berlin.") from None
        return value

    def url(self, name: str, schemes: tuple[str, ...]) -> SplitResult | None:
        """Return the parsed URL, or None if unset; its scheme must be one of `schemes`."""
        value = self.text(name)
        if not value:
            return None
        parts = urlsplit(value)
        if parts.scheme not in schemes:
            raise BadSetting(f"{name} must begin with {' or '.join(s + '://' for s in schemes)}.")
        return parts


def database_from_url(
    parts: SplitResult | None, sqlite_file: Path, sqlite_engine: str = "django.db.backends.sqlite3"
) -> dict[str, object]:
    """Return Django's database settings for a `postgresql://user:password@host:port/name` URL, or for `sqlite_file`."""
    if parts is None:
        return {
            "ENGINE": sqlite_engine,
            "NAME": sqlite_file,
            "TEST": {"NAME": ":memory:"},  # also for tests in parallel, who would give a backend of one's own a file
            "OPTIONS": {
                # IMMEDIATE: a transaction that will write takes its lock at once instead of failing half-way.
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                # FULL: what was acknowledged outlives a power cut. Scans do without (operations.durability).
                "init_command": (
                    f"PRAGMA journal_mode={journal_mode(sqlite_file.parent)}; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                    " PRAGMA cache_size=-16000; PRAGMA journal_size_limit=67108864;"
                ),
            },
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "photolala",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": False,
    }
