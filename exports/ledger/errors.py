"""The ways in which a ledger can refuse, each with a sentence for the person who reads it."""

import errno
from pathlib import Path


class LedgerError(Exception):
    """Base of all ledger errors; its text is a sentence for people."""


class LedgerBusy(LedgerError):
    """Another process has this ledger open for writing; nothing was changed."""


class LedgerFailed(LedgerError):
    """The disk refused a write, so nothing more is written until the ledger is opened again, which recovers it."""


class InvalidRecord(LedgerError, ValueError):
    """A record, or the text of one, breaks a rule of the format; it was not taken."""


_ADVICE = {
    errno.ENOSPC: "The destination is full. Free some space there, then start the export again.",
    errno.EDQUOT: "The quota of the destination is used up. Free some space there, then start the export again.",
    errno.EROFS: "The destination is read-only. Make it writable or choose another, then start the export again.",
    errno.EACCES: "The server may not write there. Give it the right to, then start the export again.",
    errno.EPERM: "The server may not write there. Give it the right to, then start the export again.",
    errno.ENAMETOOLONG: "The destination allows only shorter names.",
    errno.EILSEQ: "The destination does not allow this name.",
    errno.EFBIG: "The destination allows only smaller files.",
    errno.EIO: "The disk reports an error. Check its health, then start the export again.",
}


def advice_for(error: OSError) -> str:
    """Return what a person can do about an error of the destination's disk."""
    return _ADVICE.get(error.errno or 0, "Check the destination, then start the export again.")


def refusal(directory: Path, what: str, error: OSError) -> str:
    """Return the sentence for what the disk refused; `what` is a participle, such as "opened"."""
    reason = error.strerror or str(error)
    return (
        f"The export records in {directory} could not be {what} ({reason}). All records acknowledged before are kept; "
        "check the disk's space, health and permissions, then start the export again."
    )
