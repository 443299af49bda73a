"""Seal a decoder process: no path, no network, no new process, little memory. Linux; what a kernel lacks is left out and told.

Four layers, each enough against most attacks, so that one bug in a kernel or here opens nothing:

- no new privileges: no program that it might start could gain any (it can start none);
- seccomp: an allow-list of system calls without `open`, `socket`, `execve`, `ptrace` … (`system_calls`);
- Landlock: no right to any path, TCP port or signal to others, also not to the memory of processes outside;
- namespaces of its own for users and mounts, in which the root is an empty, read-only folder; containers often refuse these.

It keeps what it was given: descriptors of the files to be read and the socket to its parent.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys

from catalog.media.limits import Limits
from catalog.media.system_calls import ARCHITECTURES, build_filter

NO_NEW_PRIVILEGES, SECCOMP, LANDLOCK, NAMESPACES = "no_new_privileges", "seccomp", "landlock", "namespaces"
REQUIRED = (NO_NEW_PRIVILEGES, SECCOMP, LANDLOCK)
"""What `PHOTOLALA_SANDBOX=required` insists on; namespaces are refused in most containers."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 21, 22, 38
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF, _LANDLOCK_VERSION = 444, 446, 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights to files each version of Landlock knows, from the lowest bit; later versions: as the last."""
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 1, 2, 4, 8, 16384, 1 << 18, 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_POINT = b"/tmp"
_MOST_OPEN_FILES = 512


class SandboxTooWeak(Exception):
    """A layer that the settings require is not in force."""


def shut_in(limits: Limits, parent: int, *, largest_file_bytes: int = 0) -> list[str]:
    """Apply every limit to this process, which may write no file beyond that size; return the layers that are in force.

    Call it while there is one thread. Exits if `parent` is gone already; raises SandboxTooWeak if `limits` requires layers
    that cannot be had.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_OPEN_FILES, _MOST_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (limits.address_space_bytes, limits.address_space_bytes))
    _be_first_to_die()
    layers: list[str] = []
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            layers.append(NO_NEW_PRIVILEGES)
        os.chdir("/")
        if _leave_file_system(libc):
            layers.append(NAMESPACES)
        if _give_up_paths(libc):
            layers.append(LANDLOCK)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the namespaces, which forget it
        if os.getppid() != parent:
            os._exit(0)
        if _filter_system_calls(libc, may_write=largest_file_bytes > 0):
            layers.append(SECCOMP)
    missing = [layer for layer in REQUIRED if layer not in layers]
    if limits.requires_sandbox and missing:
        raise SandboxTooWeak(", ".join(missing))
    return layers


def missing_layers() -> list[str]:
    """Return the required layers that this kernel does not offer, without trying them on this process."""
    if not sys.platform.startswith("linux"):
        return list(REQUIRED)
    libc = ctypes.CDLL(None, use_errno=True)
    missing = []
    if platform.machine() not in ARCHITECTURES or libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
        missing.append(SECCOMP)
    if _landlock_version(libc) < 1:
        missing.append(LANDLOCK)
    return missing


def _be_first_to_die() -> None:
    try:
        # RLIMIT_FSIZE does not bind here: the kernel's files have no size.
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        # Without /proc the kernel chooses for itself.
        return


def _leave_file_system(libc: ctypes.CDLL) -> bool:
    """Make an empty, read-only folder the root of everything this process can name; False where that is not allowed."""
    pivot_root = _PIVOT_ROOT.get(platform.machine())
    if pivot_root is None or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS) != 0:
        return False
    if libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if libc.mount(b"tmpfs", _MOUNT_POINT, b"tmpfs", flags, b"size=4k,nr_inodes=1") != 0:
        return False
    try:
        os.chdir(_MOUNT_POINT)
        if libc.syscall(pivot_root, b".", b".") != 0 or libc.umount2(b".", _MNT_DETACH) != 0:
            return False
        os.chdir("/")
    except OSError:
        return False
    return True


def _landlock_version(libc: ctypes.CDLL) -> int:
    return int(libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION))


def _give_up_paths(libc: ctypes.CDLL) -> bool:
    """Give up every right that this kernel's Landlock knows; False where there is none. Needs no new privileges."""
    version = _landlock_version(libc)
    if version < 1:
        return False
    files = (1 << _FILE_RIGHTS.get(version, max(_FILE_RIGHTS.values()))) - 1
    network = 0b11 if version >= 4 else 0
    scoped = 0b11 if version >= 6 else 0  # abstract sockets and signals to processes outside
    rights = struct.pack("QQQ", files, network, scoped)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, rights, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    try:
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _filter_system_calls(libc: ctypes.CDLL, *, may_write: bool) -> bool:
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return False
    program = build_filter(architecture, os.getpid(), may_write=may_write)
    steps = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps)))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0) == 0)
