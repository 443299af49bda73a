"""What a caption may be, so that the catalog, EXIF, IPTC, XMP and snapshots can all hold it as it is."""

import re
import unicodedata

LONGEST_CAPTION = 10_000
"""Characters."""
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML, or our readers of files, would drop: control characters, halves of characters, and what is no character."""


class BadCaption(ValueError):
    """A text that cannot be a caption; the message is a sentence for people."""


def tidy_caption(text: str) -> str:
    """Return `text` in Unicode's form NFC, with plain line ends and without white space around it. Raises BadCaption."""
    tidy = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if bad := _IMPOSSIBLE.search(tidy):
        raise BadCaption(
            f"A caption cannot hold control characters, and this one has U+{ord(bad[0]):04X}. Take it out and save again."
        )
    if len(tidy) > LONGEST_CAPTION:
        raise BadCaption(
            f"A caption has at most {LONGEST_CAPTION:,} characters; this one has {len(tidy):,}. Shorten it and save again."
        )
    return tidy


def is_caption(text: str) -> bool:
    """Return whether a file or a row could hold `text` as a caption."""
    return len(text) <= LONGEST_CAPTION and not _IMPOSSIBLE.search(text)
