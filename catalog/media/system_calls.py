"""The system calls that a decoder may make, as a seccomp filter: an allow-list, by architecture.

Everything else fails with EPERM: opening any path, starting a program or a process, sockets, other processes' memory, mounts.
Numbers: Linux's unistd tables (x86-64: arch/x86/entry/syscalls/syscall_64.tbl; aarch64: include/uapi/asm-generic/unistd.h).
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

_LOAD, _JUMP, _EQUAL, _ANY_BIT, _RETURN = (
    0x20,
    0x05,
    0x15,
    0x45,
    0x06,
)  # LD|W|ABS, then JMP with JA, JEQ|K, JSET|K, RET|K
_ALLOW = 0x7FFF0000  # SECCOMP_RET_ALLOW
_FAIL = 0x00050000  # SECCOMP_RET_ERRNO, to be combined with the error's number
_REFUSE = _FAIL | errno.EPERM
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_AT_EMPTY_PATH, _CLONE_THREAD, _PR_SET_NAME = 0x1000, 0x10000, 15
_F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 1, 2, 3, 1030


class Architecture(NamedTuple):
    """One machine's mark for seccomp (AUDIT_ARCH_*) and its numbers of calls."""

    mark: int
    allowed: tuple[int, ...]
    writing: tuple[int, ...]
    fcntl: int
    ioctl: int
    stat_at: int
    clone: int
    clone3: int
    prctl: int
    prlimit: int
    tgkill: int


# read write pread64 lseek fstat close mmap munmap mremap madvise brk futex, then what is rarer: mprotect poll ppoll select
# rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall readv writev preadv sched_yield dup nanosleep
# clock_nanosleep clock_gettime clock_getres gettimeofday times getpid getppid gettid getuid getgid geteuid getegid sendto
# recvfrom sendmsg recvmsg exit exit_group uname getrusage sysinfo sched_getaffinity fadvise64 set_robust_list
# set_tid_address rseq getcpu getrandom membarrier getcwd (asked by Pillow before it writes into memory; it is "/") getsockname
# getpeername
_X86_64 = Architecture(
    mark=0xC000003E,
    allowed=(
        *(0, 1, 17, 8, 5, 3, 9, 11, 25, 28, 12, 202),
        *(10, 7, 271, 23, 13, 14, 15, 131, 219, 19, 20, 295, 24, 32, 35, 230, 228, 229, 96, 100, 201, 39, 110, 186),
        *(102, 104, 107, 108, 44, 45, 46, 47, 60, 231, 63, 98, 99, 204, 221, 273, 218, 334, 309, 318, 324, 79, 51, 52),
    ),
    writing=(18, 77, 296),  # pwrite64 ftruncate pwritev
    fcntl=72,
    ioctl=16,
    stat_at=262,
    clone=56,
    clone3=435,
    prctl=157,
    prlimit=302,
    tgkill=234,
)
_AARCH64 = Architecture(
    mark=0xC00000B7,
    allowed=(
        *(63, 64, 67, 62, 80, 57, 222, 215, 216, 233, 214, 98),
        *(226, 73, 72, 134, 135, 139, 132, 128, 65, 66, 69, 124, 23, 101, 115, 113, 114, 169, 153, 172, 173, 178),
        *(
            174,
            176,
            175,
            177,
            206,
            207,
            211,
            212,
            93,
            94,
            160,
            165,
            179,
            123,
            223,
            99,
            96,
            293,
            168,
            278,
            283,
            17,
            204,
            205,
        ),
    ),
    writing=(68, 46, 70),
    fcntl=25,
    ioctl=29,
    stat_at=79,
    clone=220,
    clone3=435,
    prctl=167,
    prlimit=261,
    tgkill=131,
)
ARCHITECTURES = {"x86_64": _X86_64, "aarch64": _AARCH64}


class _Filter:
    """A BPF program in the making."""

    def __init__(self) -> None:
        self.steps: list[bytes] = []

    def add(self, code: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        self.steps.append(struct.pack("HBBI", code, if_true, if_false, value))

    def on(self, number: int, *answer: tuple[int, int, int, int]) -> None:
        """Run the steps of `answer` (code, value, jumps), which end the program, for the system call `number`."""
        self.add(_EQUAL, number, 0, len(answer))
        for code, value, if_true, if_false in answer:
            self.add(code, value, if_true, if_false)


def _argument(index: int, *, upper: bool = False) -> int:
    """Return where one half of a system call's argument is in struct seccomp_data, on little-endian machines."""
    return 16 + 8 * index + 4 * upper


def build_filter(architecture: Architecture, process_id: int, *, may_write: bool) -> bytes:
    """Return the BPF program for the process of that id; with `may_write` it may also change its open, writable files."""
    allow, refuse = (_RETURN, _ALLOW, 0, 0), (_RETURN, _REFUSE, 0, 0)
    program = _Filter()
    program.add(_LOAD, _ARCHITECTURE)
    program.add(_EQUAL, architecture.mark, 1, 0)
    program.add(_RETURN, _REFUSE)
    program.add(_LOAD, _NUMBER)
    numbers = architecture.allowed + (architecture.writing if may_write else ())
    for index, number in enumerate(numbers):
        program.add(_EQUAL, number, len(numbers) - index, 0)
    program.add(_JUMP, 1)  # over the answer for those above
    program.add(_RETURN, _ALLOW)
    # fstat of newer C libraries: of an open file, never of a path
    program.on(architecture.stat_at, (_LOAD, _argument(3), 0, 0), (_ANY_BIT, _AT_EMPTY_PATH, 0, 1), allow, refuse)
    # threads, but no processes; without clone3, whose flags are in memory, C libraries use clone
    program.on(architecture.clone, (_LOAD, _argument(0), 0, 0), (_ANY_BIT, _CLONE_THREAD, 0, 1), allow, refuse)
    program.on(architecture.clone3, (_RETURN, _FAIL | errno.ENOSYS, 0, 0))
    # no terminal, no device
    program.on(architecture.ioctl, (_RETURN, _FAIL | errno.ENOTTY, 0, 0))
    # no leases and no signals through descriptors
    program.on(
        architecture.fcntl,
        (_LOAD, _argument(1), 0, 0),
        (_EQUAL, _F_GETFD, 4, 0),
        (_EQUAL, _F_SETFD, 3, 0),
        (_EQUAL, _F_GETFL, 2, 0),
        (_EQUAL, _F_DUPFD_CLOEXEC, 1, 0),
        refuse,
        allow,
    )
    program.on(architecture.prctl, (_LOAD, _argument(0), 0, 0), (_EQUAL, _PR_SET_NAME, 0, 1), allow, refuse)
    # limits are read, not set
    program.on(
        architecture.prlimit,
        (_LOAD, _argument(2), 0, 0),
        (_EQUAL, 0, 0, 3),
        (_LOAD, _argument(2, upper=True), 0, 0),
        (_EQUAL, 0, 0, 1),
        allow,
        refuse,
    )
    # abort() signals the process itself, and nothing else is signalled
    program.on(architecture.tgkill, (_LOAD, _argument(0), 0, 0), (_EQUAL, process_id, 0, 1), allow, refuse)
    program.add(_RETURN, _REFUSE)
    return b"".join(program.steps)
