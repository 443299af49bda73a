"""Decoder processes as the settings say: how many, and how much memory each may take."""

import os
from dataclasses import replace

from django.conf import settings

from catalog.media.limits import DEFAULT_LIMITS, MIB, Limits
from catalog.media.pool import DecoderPool

PREVIEW_MEMORY_MIB = 400
"""One preview at a time is drawn in a web process, so that it may take more than each of a scan's decoders."""

PREVIEW_PATIENCE = 3
"""On a busy machine a preview takes so many times its limit: 90 seconds as a rule, and once more. Then it is given up for now."""

MOST_BYTES_FROM_ONE = 1_100
"""Deflate reaches 1,032; a file that claims more lies about its size."""


def decoder_limits(least_mib: int = 0) -> Limits:
    """Return the limits of one decoder as the settings say, with `least_mib` MiB of memory or more."""
    limits = DEFAULT_LIMITS.with_memory(max(least_mib, settings.DECODER_MEMORY_MIB) * MIB)
    return replace(limits, requires_sandbox=settings.SANDBOX_REQUIRED)


def scan_decoders() -> DecoderPool:
    """Return the decoders of a scan; the caller closes them."""
    return DecoderPool(settings.DECODER_PROCESSES or os.cpu_count() or 1, decoder_limits())


def preview_decoder() -> DecoderPool:
    """Return the one decoder that draws previews on demand, while a person waits; the caller closes it."""
    return DecoderPool(1, replace(_preview_limits(), patience=PREVIEW_PATIENCE))


def writing_decoder() -> DecoderPool:
    """Return the decoder that reads back what was written into a file; the caller closes it."""
    return DecoderPool(1, _preview_limits())


def can_be_drawn_on_demand(needed_bytes: int, size_bytes: int) -> bool:
    """True for a picture that the preview decoder can hold, though a scan's may not, if its file can be that picture.

    `needed_bytes` for its pixels, 0 when unknown; no common compression makes more than 1,100 bytes of one.
    """
    return 0 < needed_bytes <= min(_preview_limits().picture_bytes, MOST_BYTES_FROM_ONE * size_bytes)


def _preview_limits() -> Limits:
    return decoder_limits(PREVIEW_MEMORY_MIB)
