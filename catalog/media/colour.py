"""Convert pictures with an embedded colour profile to sRGB."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from typing import Any

from PIL import Image, ImageCms

_LONGEST_PROFILE_BYTES = 4 * 1024 * 1024
_transforms: dict[tuple[bytes, str], Any] = {}


@lru_cache(maxsize=1)
def _srgb() -> Any:
    return ImageCms.createProfile("sRGB")


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return `image` in sRGB; unchanged when the profile is sRGB itself, is none, or does not fit the picture. Alpha is kept."""
    transform = _transform(profile, "RGB" if image.mode == "RGBA" else image.mode)
    if transform is None:
        return image
    if image.mode == "RGBA":
        converted = ImageCms.applyTransform(image.convert("RGB"), transform)
        if converted is None:
            return image
        converted.putalpha(image.getchannel("A"))
        return converted
    return ImageCms.applyTransform(image, transform) or image


def _transform(profile: bytes, mode: str) -> Any:
    key = (hashlib.sha256(profile).digest(), mode)
    if key not in _transforms:
        if len(_transforms) > 32:
            _transforms.clear()
        _transforms[key] = _build(profile, mode)
    return _transforms[key]


def _build(profile: bytes, mode: str) -> Any:
    if len(profile) > _LONGEST_PROFILE_BYTES:
        return None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "RGB" and "srgb" in ImageCms.getProfileDescription(opened).lower():
            return None
        return ImageCms.buildTransform(opened, _srgb(), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A damaged profile says nothing about the colours; without one, sRGB is meant.
        return None
