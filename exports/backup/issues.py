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

    def text(self) -> str:
        """Return the content of issues.txt."""
        lines = [*self.listed]
        if self.count > len(lines):
            lines.append(f"… and {self.count - len(lines):,} more.")
        return "\n".join(lines) + "\n"
