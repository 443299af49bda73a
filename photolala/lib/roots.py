"""Which folders and buckets a user may open as a library: the patterns of PHOTOLALA_ROOTS."""

from pathlib import Path

from photolala.lib.paths import escape_path

PLACEHOLDER = "{username}"


class RootPattern:
    """One folder, or `s3://bucket/prefix`, of PHOTOLALA_ROOTS; `{username}` in it stands for the name of who asks."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def is_absolute(self) -> bool:
        """True for a path from the top."""
        return self.text.startswith("/")

    @property
    def is_bucket(self) -> bool:
        """True for `s3://…`."""
        return self.text.startswith("s3://")

    @property
    def is_personal(self) -> bool:
        """True if it holds `{username}`."""
        return PLACEHOLDER in self.text

    def folder_for(self, username: str) -> Path | None:
        """Return the real folder for a user; None if it is not there, or the name would lead elsewhere."""
        if self.is_bucket or not self._is_safe(username):
            return None
        try:
            folder = Path(self.text.replace(PLACEHOLDER, username)).resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        return folder if folder.is_dir() else None

    def bucket_for(self, username: str) -> str | None:
        """Return the URI of the bucket and prefix for a user; None if it is a folder, or the name would lead elsewhere."""
        if not self.is_bucket or not self._is_safe(username):
            return None
        return self.text.replace(PLACEHOLDER, escape_path(username))

    def _is_safe(self, username: str) -> bool:
        return not self.is_personal or not (username in {"", ".", ".."} or "/" in username or "\0" in username)


def allowed_roots(patterns: list[str], username: str) -> list[Path]:
    """Return the real folders under which `username` may add libraries."""
    folders = (RootPattern(text).folder_for(username) for text in patterns)
    return [folder for folder in folders if folder is not None]


def allowed_buckets(patterns: list[str], username: str) -> list[str]:
    """Return the URIs (`s3://bucket/prefix`) under which `username` may add libraries."""
    uris = (RootPattern(text).bucket_for(username) for text in patterns)
    return [uri for uri in uris if uri is not None]


def is_within(path: Path, folder: Path) -> bool:
    """True if `path` is `folder` or is below it (both real paths)."""
    return path == folder or folder in path.parents
