"""Which folders of the server a user may open as a library: the patterns of PHOTOLALA_ROOTS."""

from pathlib import Path

PLACEHOLDER = "{username}"


class RootPattern:
    """One folder of PHOTOLALA_ROOTS; `{username}` in it stands for the name of the user who asks."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def is_absolute(self) -> bool:
        """True for a path from the top."""
        return self.text.startswith("/")

    @property
    def is_personal(self) -> bool:
        """True if it holds `{username}`."""
        return PLACEHOLDER in self.text

    def folder_for(self, username: str) -> Path | None:
        """Return the real folder for a user; None if it is not there, or the name would lead elsewhere."""
        if self.is_personal and (username in {"", ".", ".."} or "/" in username or "\0" in username):
            return None
        try:
            folder = Path(self.text.replace(PLACEHOLDER, username)).resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        return folder if folder.is_dir() else None


def allowed_roots(patterns: list[str], username: str) -> list[Path]:
    """Return the real folders under which `username` may add libraries."""
    folders = (RootPattern(text).folder_for(username) for text in patterns)
    return [folder for folder in folders if folder is not None]


def is_within(path: Path, folder: Path) -> bool:
    """True if `path` is `folder` or lies below it (both real paths)."""
    return path == folder or folder in path.parents
