"""How much time, memory and picture one file may cost, and the environment of the processes that read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

MIB = 1024 * 1024
CODE_FOLDER = Path(__file__).resolve().parents[2]
"""Where the decoder processes find the package `catalog`."""
OWN_BYTES = 32 * MIB
"""What a decoder takes for itself before it reads a file, and a reserve for what the last file left behind."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one decoder process; the defaults keep its resident memory below about 200 MiB whatever the file."""

    seconds: float = 30.0
    """Time that a process may work on one file, besides the share below; it may wait for its turn on a busy machine."""
    seconds_per_byte: float = 1 / (5 * MIB)
    """Extra time for each byte of the file: one second per 5 MiB."""
    patience: int = 60
    """So many times that may pass on the wall while a process waits for its turn on a busy machine."""
    memory_bytes: int = 176 * MIB
    """Private memory of a child (RLIMIT_DATA)."""
    address_space_bytes: int = 1536 * MIB
    """Address space of a child (RLIMIT_AS): a backstop that also counts code and read-only mappings."""
    picture_bytes: int = 144 * MIB
    """What drawing one picture may take at its peak (`memory.needed_bytes`); a larger picture is listed but not drawn."""
    in_memory_bytes: int = 64 * MIB
    """A file up to this size is read whole, once; a larger one is streamed."""
    crashes: int = 3
    """After that many crashes a file is given up."""
    timeouts: int = 2
    """After that many runs beyond the time limit a file is given up."""
    files_per_process: int = 20_000
    """A child is replaced after that many files."""
    resident_bytes: int = 120 * MIB
    """A child that holds more between two files is replaced."""
    requires_sandbox: bool = False
    """A child that cannot be sealed as `sandbox.REQUIRED` says serves nothing."""

    def with_memory(self, memory_bytes: int) -> Limits:
        """Return limits for that much memory of a child, of which a picture may take what the child itself leaves."""
        return replace(
            self,
            memory_bytes=memory_bytes,
            picture_bytes=memory_bytes - OWN_BYTES,
            address_space_bytes=max(self.address_space_bytes, memory_bytes + 1280 * MIB),
            resident_bytes=max(self.resident_bytes, memory_bytes * 2 // 3),
        )

    def with_libraries(self, data_bytes: int) -> Limits:
        """Return limits under which libraries that took `data_bytes` when they were loaded leave as much memory as before."""
        return replace(self, memory_bytes=self.memory_bytes + max(0, data_bytes))


DEFAULT_LIMITS = Limits()


def child_environment() -> dict[str, str]:
    """Return the whole environment of a decoder process: nothing of this process, so no password or key can leak from there."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(CODE_FOLDER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "1",
        # Memory of one picture serves the next: to give it back and have it zeroed anew costs as much as to hash it.
        "MALLOC_MMAP_THRESHOLD_": str(32 * MIB),
        "MALLOC_TRIM_THRESHOLD_": str(32 * MIB),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
