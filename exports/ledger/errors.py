"""The ways in which a ledger can refuse, each with a sentence for the person who reads it."""


class LedgerError(Exception):
    """Base of all ledger errors; its text is a sentence for people."""


class LedgerBusy(LedgerError):
    """Another process has this ledger open for writing; nothing was changed."""


class LedgerFailed(LedgerError):
    """The disk refused a write, so nothing more is written until the ledger is opened again, which recovers it."""


class InvalidRecord(LedgerError, ValueError):
    """A record, or the text of one, breaks a rule of the format; it was not taken."""
