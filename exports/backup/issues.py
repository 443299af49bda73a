"""What a backup could not read."""

MOST_LISTED = 1000


class Issues:
    """Sentences for issues.txt; of very many the first are kept, and all are counted."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[str] = []

    def add(self, sentence: str) -> None:
        """Note what is missing, and why."""
        self.count += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(sentence)

    def problems(self, most: int = 100) -> list[dict[str, str]]:
        """Return the first as results of operations list them."""
        return as_problems(self.listed[:most])

    def text(self) -> str:
        """Return the content of issues.txt."""
        lines = [*self.listed]
        if self.count > len(lines):
            lines.append(f"… and {self.count - len(lines):,} more.")
        return "\n".join(lines) + "\n"


def as_problems(sentences: list[str]) -> list[dict[str, str]]:
    """Return sentences that begin with the name of a file as results of operations list problems."""
    parted = (sentence.partition(": ") for sentence in sentences)
    return [{"path": path if reason else "", "reason": reason or path} for path, _, reason in parted]
