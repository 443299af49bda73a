"""How dates become folders of a library: for what is imported, and for photos that got another date."""

from datetime import datetime

from catalog.models import Import

UNDATED_FOLDER = "undated"


def folder_of(layout: str, taken_local: datetime | None) -> str:
    """Return the folder, relative to the library's root, for a photo taken then (None: not known)."""
    if taken_local is None:
        return UNDATED_FOLDER
    year, month, day = f"{taken_local.year:04}", f"{taken_local.month:02}", f"{taken_local.day:02}"
    if layout == Import.Layout.YEAR:
        return year
    return f"{year}/{year}-{month}-{day}" if layout == Import.Layout.DAY else f"{year}/{month}"
