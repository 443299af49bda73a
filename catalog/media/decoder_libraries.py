"""The heavy libraries of a decoder: loaded before it is sealed, because a sealed process can open no file, not even code.

Most photos need none of them, and a start without them is three times as quick. So a decoder starts without; when a file needs
one, the sealed process says which (`NotLoaded`), and the pool starts decoders that have it from then on.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HEAVY = {
    "av": (),
    "brotli": (),
    "numpy": (),
    "pillow_heif": (),
    "pillow_jxl": (),
    "rawpy": ("multiprocessing", "multiprocessing.context"),
}
"""Each with what else it loads, but only when it needs it; the modules of a package itself are all loaded."""
_NOT_NEEDED = ("av.__main__", "av.datasets", "rawpy.enhance")
_WITHOUT_PARTS = frozenset(("numpy",))
"""Of which the package itself loads what is used."""
ZONE = "zone:"
"""How the names of time zones begin where they stand among those of libraries: their rules are read from files, too."""
_ALWAYS = (
    *("encodings.ascii", "encodings.cp1252", "encodings.idna", "encodings.latin_1", "encodings.utf_8_sig"),
    *("encodings.utf_16", "encodings.utf_16_be", "encodings.utf_16_le", "encodings.utf_32"),
    *("PIL.AvifImagePlugin", "PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.IcoImagePlugin", "PIL.ImageCms"),
    *("PIL.ImageColor", "PIL.ImageFilter", "PIL.ImagePalette", "PIL.Jpeg2KImagePlugin", "PIL.JpegImagePlugin"),
    *("PIL.MpoImagePlugin", "PIL.PngImagePlugin", "PIL.PpmImagePlugin", "PIL.PsdImagePlugin", "PIL.TiffImagePlugin"),
    *("PIL.WebPImagePlugin", "defusedxml", "defusedxml.ElementTree"),
    *(
        "catalog.media.colour",
        "catalog.media.jxl_drawing",
        "catalog.media.raw",
        "catalog.media.tone",
        "catalog.media.video",
    ),
)
_sealed = False


class NotLoaded(BaseException):
    """This process is sealed and lacks the library or zone `name`; no handler of a file's errors may swallow this."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def load(name: str) -> Any:
    """Return the module of that name; raises NotLoaded in a sealed process that lacks it."""
    module = sys.modules.get(name)
    if module is None:
        if _sealed:
            raise NotLoaded(name)
        module = importlib.import_module(name)
    return module


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo:
    """Return the time zone of that name, UTC when there is none; raises NotLoaded in a sealed process that lacks it."""
    if _sealed:
        raise NotLoaded(f"{ZONE}{name}")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def load_before_sealing(names: list[str]) -> None:
    """Load what every decoder needs, and the heavy libraries and zones `names`."""
    from PIL import Image

    for name in _ALWAYS:
        importlib.import_module(name)
    Image.preinit()
    zone_named("UTC")
    for name in names:
        if name.startswith(ZONE):
            zone_named(name.removeprefix(ZONE))
        elif name in HEAVY:
            _load_whole(name)


def _load_whole(name: str) -> None:
    """Load a library with all its modules."""
    package = importlib.import_module(name)
    paths = getattr(package, "__path__", []) if name not in _WITHOUT_PARTS else []
    inner = [found.name for found in pkgutil.walk_packages(paths, f"{name}.") if found.name not in _NOT_NEEDED]
    for module in (*inner, *HEAVY[name]):
        with suppress(ImportError):  # extras of a library may need others that are not installed
            importlib.import_module(module)


def seal() -> None:
    """Let `load` and `zone_named` raise NotLoaded from now on, and nothing else look for code in files.

    Warnings are ignored from now on: they would show the line of source that they come from.
    """
    global _sealed
    _sealed = True
    warnings.simplefilter("ignore")
    sys.path.clear()
    sys.path_importer_cache.clear()
