"""The brake on mass deletion: a batch that deletes much needs a person's confirmation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Brake:
    """More than `most_fraction` of the things there are, or `most` of them. Fewer than `least` are never held up."""

    most_fraction: float = 0.2
    most: int = 100
    least: int = 5

    def holds(self, deletions: int, there: int) -> bool:
        """Say whether deleting so many of the things that are there needs a confirmation."""
        if deletions < self.least:
            return False
        return deletions >= self.most or deletions > self.most_fraction * there
