"""Static files under names with a hash of their content, with compressed copies that are made once."""

import os
from pathlib import Path
from typing import Any

import brotli
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

QUALITY = 9
"""Brotli's best (11) takes twenty seconds at the first start, and saves 5 % more."""


class OnceCompressor(Compressor):
    """Leaves alone what was compressed at an earlier start: a name with a hash never stands for other bytes."""

    SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")

    def compress(self, path: str) -> list[str]:
        """Make the copies that are missing; return all names."""
        there = [f"{path}.br", f"{path}.gz"]
        return there if all(Path(name).is_file() for name in there) else super().compress(path)

    @staticmethod
    def compress_brotli(data: bytes) -> bytes:
        """Return the bytes as Brotli."""
        return brotli.compress(data, quality=QUALITY)

    def write_data(self, path: str, data: bytes, suffix: str, stat_result: os.stat_result) -> str:
        """Write a copy in one step, so that a start that is killed leaves none that is cut short."""
        name = Path(f"{path}{suffix}")
        partial = name.with_name(f"{name.name}.{os.getpid()}.tmp")
        partial.write_bytes(data)
        os.utime(partial, (stat_result.st_atime, stat_result.st_mtime))
        partial.replace(name)
        return str(name)


class StaticStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's storage with that compressor."""

    def create_compressor(self, **kwargs: Any) -> Compressor:
        return OnceCompressor(**kwargs)
