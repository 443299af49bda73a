"""The hostile decoder with Landlock and nothing else."""

from catalog.media import sandbox
from tests.catalog.media.hostile_worker import main


def without() -> None:
    sandbox._filter_system_calls = lambda *_, **__: False  # type: ignore[assignment]
    sandbox._leave_file_system = lambda *_: False  # type: ignore[assignment]


if __name__ == "__main__":
    main(without)
