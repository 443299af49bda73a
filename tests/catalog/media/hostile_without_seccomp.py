"""The hostile decoder on a kernel without seccomp: Landlock and the namespaces alone must keep files and processes."""

from catalog.media import sandbox
from tests.catalog.media.hostile_worker import main


def without() -> None:
    sandbox._filter_system_calls = lambda *_, **__: False  # type: ignore[assignment]


if __name__ == "__main__":
    main(without)
