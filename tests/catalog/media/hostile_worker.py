"""A decoder process that was taken over: instead of reading the file it attacks all it can reach, and reports what it met."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from catalog.media import worker
from catalog.media.results import DigestResult

O_RDONLY, O_RDWR, O_TRUNC, O_CREAT, AT_FDCWD = 0, 2, 0o1000, 0o100, -100
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def called(name: str, *arguments: Any) -> str:
    """Call the C library; return the error's name, or "done"."""
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    if ctypes.c_int(result).value != -1:
        if name in ("fork", "vfork") and result == 0:
            os._exit(0)
        return "done"
    return errno.errorcode.get(ctypes.get_errno(), "?")


def attacks(descriptor: int, victim: bytes, parent: int) -> dict[str, str]:
    """Attack the file `victim`, the file that is open as `descriptor`, and the process `parent`."""
    memory = ctypes.create_string_buffer(b"x" * 16)
    there = Vector(ctypes.addressof(memory), 16)
    ours = f"/proc/self/fd/{descriptor}".encode()
    folder = os.path.dirname(victim)
    return {
        "read a file": called("open", victim, O_RDONLY),
        "read a file by openat": called("openat", AT_FDCWD, victim, O_RDONLY),
        "read a file upwards": called("open", b"../../../.." + victim, O_RDONLY),
        "list a folder": called("open", folder, O_RDONLY | os.O_DIRECTORY),
        "rewrite a file": called("open", victim, O_RDWR),
        "truncate by opening": called("open", victim, O_RDWR | O_TRUNC),
        "truncate": called("truncate", victim, ctypes.c_long(0)),
        "make a file": called("open", folder + b"/made", O_RDWR | O_CREAT, 0o600),
        "make a folder": called("mkdir", folder + b"/folder", 0o700),
        "delete": called("unlink", victim),
        "rename": called("rename", victim, folder + b"/renamed"),
        "link": called("link", victim, folder + b"/linked"),
        "symbolic link": called("symlink", victim, folder + b"/symbolic"),
        "change rights": called("chmod", victim, 0o777),
        "open the given file anew, to write": called("open", ours, O_RDWR),
        "write to the given file": called("write", descriptor, b"x", ctypes.c_size_t(1)),
        "write into the given file": called("pwrite", descriptor, b"x", ctypes.c_size_t(1), ctypes.c_long(0)),
        "truncate the given file": called("ftruncate", descriptor, ctypes.c_long(0)),
        "rights of the given file": called("fchmod", descriptor, 0o777),
        "owner of the given file": called("fchown", descriptor, 1, 1),
        "map the given file to write": called("mmap", None, ctypes.c_size_t(4096), 2, 1, descriptor, ctypes.c_long(0)),
        "lease of the given file": called("fcntl", descriptor, 1024, 1),
        "signals through the given file": called("fcntl", descriptor, 8, parent),
        "device call": called("ioctl", descriptor, 0x5401, ctypes.addressof(memory)),
        "parent's memory": called("open", f"/proc/{parent}/mem".encode(), O_RDWR),
        "parent's environment": called("open", f"/proc/{parent}/environ".encode(), O_RDONLY),
        "write into the parent": called("process_vm_writev", parent, ctypes.byref(there), 1, ctypes.byref(there), 1, 0),
        "read from the parent": called("process_vm_readv", parent, ctypes.byref(there), 1, ctypes.byref(there), 1, 0),
        "trace the parent": called("ptrace", 16, parent, None, None),
        "signal the parent": called("kill", parent, 0),
        "signal a thread of the parent": called("tgkill", parent, parent, 0),
        "limits of the parent": called("prlimit", parent, 7, ctypes.addressof(memory), None),
        "own limits": called("setrlimit", 7, ctypes.addressof(memory)),
        "fork": called("fork"),
        "start a program": called("execve", b"/bin/true", None, None),
        "socket": called("socket", 2, 1, 0),
        "pair of sockets": called("socketpair", 1, 1, 0, ctypes.addressof(memory)),
        "memory file": called("memfd_create", b"x", 0),
        "namespace": called("unshare", 0x10000000),
        "mount": called("mount", b"tmpfs", b"/", b"tmpfs", 0, None),
        "other root": called("chroot", b"/proc"),
        "other folder": called("chdir", b"/proc"),
        "events of the machine": called("inotify_init1", 0),
        "user's keys": called("syscall", 250 if os.uname().machine == "x86_64" else 219, 0, 0, 0, 0, 0),
    }


def innocent() -> str:
    """Do what decoders do: threads and memory."""
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(len(bytearray(1 << 22))))
    thread.start()
    thread.join()
    return str(done[0])


def hostile_digest(
    descriptor: int, name: str, params: dict[str, Any], sidecars: dict[str, int], limits: Any, *, draws: bool = True
) -> Iterator[DigestResult]:
    order = json.loads(os.pread(descriptor, 4000, 0))
    met = attacks(descriptor, order["victim"].encode(), order["parent"])
    yield DigestResult(metadata_body=json.dumps(met), caption=innocent())


def main(change: Callable[[], None] = lambda: None) -> None:
    """Be a decoder whose sandbox `change` may have weakened."""
    change()
    worker.digest_file = hostile_digest
    worker.main()


if __name__ == "__main__":
    main()
