"""Which names are nobody's photos: what systems, NAS boxes and tools leave in people's folders."""

SYSTEM_FOLDERS = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "__macosx",
        "lost+found",
        "node_modules",
        "recycler",
        "system volume information",
    }
)
"""In lower case, since Windows and macOS write them in any."""

SYSTEM_FILES = frozenset({"Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", "Icon\r"})
"""As they are written: a look-up in the hot loop of a walk must not build a lower-case copy of each name."""


def is_system_folder(name: str) -> bool:
    """Return whether a folder of this name is hidden (a dot first) or belongs to a system or tool."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def is_system_file(name: str) -> bool:
    """Return whether a file of this name is hidden (a dot first) or belongs to a system."""
    return name.startswith(".") or name in SYSTEM_FILES


def skipped_part(path: str) -> str:
    """Return the name in a relative path for which a scan skips what is there; "" if it sees it.

    Whoever lets a person put a file somewhere asks this first: what no scan sees would be missing at the next one.
    """
    folders, _, name = path.rpartition("/")
    for folder in folders.split("/") if folders else ():
        if is_system_folder(folder) or is_system_file(folder):
            return folder
    return name if is_system_file(name) else ""
