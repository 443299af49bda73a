"""What an examination says: findings, with what each means and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is: something does not work · something will not work or was lost · good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(slots=True)
class Finding:
    """One finding. `sentence` says what is and what it means, `advice` what to do, `healed` what was done about it."""

    severity: Severity
    code: str
    sentence: str
    advice: str = ""
    healed: str = ""

    @property
    def needs_somebody(self) -> bool:
        """True if a person has to do something."""
        return self.severity != Severity.NOTE and not self.healed


def error(code: str, sentence: str, advice: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(Severity.ERROR, code, sentence, advice)


def warning(code: str, sentence: str, advice: str) -> Finding:
    """Return a finding of something that will not work, or was lost."""
    return Finding(Severity.WARNING, code, sentence, advice)


def note(code: str, sentence: str, advice: str = "") -> Finding:
    """Return a finding that needs nobody."""
    return Finding(Severity.NOTE, code, sentence, advice)
