"""Shut a decoder process in: memory, files, network, new programs. Linux; what a kernel lacks is left out."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys

from catalog.media.limits import Limits

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_SET_DUMPABLE = 1, 38, 22, 4
_SECCOMP_MODE_FILTER = 2
_MOST_OPEN_FILES = 512
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM
# Architecture mark, and the numbers of: socket, connect, bind, execve, execveat, ptrace, kill, tgkill-free set,
# unlinkat, renameat2,
# mkdirat, linkat, symlinkat, fchmodat, fchownat, mount, io_uring_setup, process_vm_writev, bpf, plus the old ones on x86-64.
_REFUSED = {
    "x86_64": (
        0xC000003E,
        (
            41,
            42,
            49,
            59,
            322,
            101,
            62,
            263,
            316,
            258,
            265,
            266,
            268,
            260,
            165,
            425,
            311,
            321,
            82,
            83,
            84,
            86,
            87,
            88,
            90,
            92,
            264,
            424,
            56 + 1,
            58,
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 203, 200, 221, 281, 117, 129, 35, 276, 34, 37, 36, 53, 54, 40, 425, 271, 280, 38, 424),
    ),
}


def shut_in(limits: Limits, parent: int, *, largest_file_bytes: int = 0) -> None:
    """Apply every limit to this process, which may write no file beyond that size. Exits if `parent` is gone already."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_OPEN_FILES, _MOST_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (limits.address_space_bytes, limits.address_space_bytes))
    _be_first_to_die()
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _refuse_system_calls(libc)


def _be_first_to_die() -> None:
    try:
        # RLIMIT_FSIZE does not bind here: the kernel's files have no size.
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        # Without /proc the kernel chooses for itself.
        return


def _refuse_system_calls(libc: ctypes.CDLL) -> None:
    mark, numbers = _REFUSED.get(platform.machine(), (0, ()))
    if not numbers:
        return
    load, equal, give = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    steps = [(load, 0, 0, 4), (equal, 1, 0, mark), (give, 0, 0, _REFUSE), (load, 0, 0, 0)]
    for index, number in enumerate(numbers):
        steps.append((equal, len(numbers) - index, 0, number))
    steps += [(give, 0, 0, _ALLOW), (give, 0, 0, _REFUSE)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0)
