"""Convert pictures with an embedded colour profile to sRGB."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from typing import Any

from PIL import Image, ImageCms

_LONGEST_PROFILE_BYTES = 4 * 1024 * 1024
_NEAR = 2
"""A profile that changes no colour by more than that many levels is sRGB, whatever its name."""
_transforms: dict[tuple[bytes, str], Any] = {}


@lru_cache(maxsize=1)
def _srgb() -> Any:
    return ImageCms.createProfile("sRGB")


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return the ICC profile of sRGB, for files that say how they are meant."""
    return ImageCms.ImageCmsProfile(_srgb()).tobytes()


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return `image` in sRGB; unchanged when the profile is sRGB itself, is none, or does not fit the picture.

    Alpha is kept. A grey picture becomes RGB where its profile is not of the grey that sRGB has.
    """
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    plain = image.convert({"RGBA": "RGB", "LA": "L"}[image.mode]) if alpha else image
    transform = _transform(profile, plain.mode)
    if transform is None:
        return image
    if transform == "RGB":  # the profile of a colour picture on one that has only grey
        return to_srgb(image.convert("RGBA" if alpha else "RGB"), profile)
    converted = ImageCms.applyTransform(plain, transform)
    if converted is None:
        return image
    if alpha:
        converted.putalpha(alpha)
    return converted


def from_lab(image: Image.Image) -> Image.Image:
    """Return a picture of mode LAB (CIE L*a*b*, D50) in sRGB."""
    key = (b"", "LAB")
    if key not in _transforms:
        _transforms[key] = ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")
    return ImageCms.applyTransform(image, _transforms[key]) or image


def _transform(profile: bytes, mode: str) -> Any:
    key = (hashlib.sha256(profile).digest(), mode)
    if key not in _transforms:
        if len(_transforms) > 32:
            _transforms.clear()
        _transforms[key] = _build(profile, mode)
    return _transforms[key]


def _build(profile: bytes, mode: str) -> Any:
    """Return the transform from `profile` for pictures of `mode`, None if there is nothing to change, "RGB" if they have to
    become RGB before."""
    if len(profile) > _LONGEST_PROFILE_BYTES:
        return None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "L" and opened.profile.xcolor_space.strip() == "RGB":
            return "RGB" if _build(profile, "RGB") else None
        transform = ImageCms.buildTransform(opened, _srgb(), mode, "RGB")
        return transform if mode == "CMYK" or _changes(transform, mode) else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A damaged profile says nothing about the colours; without one, sRGB is meant.
        return None


def _changes(transform: Any, mode: str) -> bool:
    """Return whether the transform changes colours visibly: a profile is sRGB by what it does."""
    colours = _colours()
    shown = ImageCms.applyTransform(colours if mode == "RGB" else colours.convert(mode), transform)
    expected = (colours if mode == "RGB" else colours.convert(mode)).convert("RGB")
    if shown is None:
        return False
    return any(abs(a - b) > _NEAR for a, b in zip(shown.tobytes(), expected.tobytes(), strict=True))


@lru_cache(maxsize=1)
def _colours() -> Image.Image:
    """Return nine steps of each channel, with all of the others."""
    steps = [min(step * 32, 255) for step in range(9)]
    pixels = bytes(value for red in steps for green in steps for blue in steps for value in (red, green, blue))
    return Image.frombytes("RGB", (27, 27), pixels)
