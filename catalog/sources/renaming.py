"""Renames that overwrite nothing: to a name that is free, or two names exchanged, each in one step."""

import ctypes
import errno
import os

_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(folder: int, first: bytes, second: bytes) -> bool:
    """Exchange two names in one step; False where the file system or the kernel cannot. Raises OSError."""
    call = getattr(_libc, "renameat2", None)
    if call is None:
        return False
    if call(folder, first, folder, second, _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), second)


def rename_to_free_name(folder_fd: int, name: bytes, new_folder_fd: int, new_name: bytes) -> None:
    """Rename a file, in one step, to a name that nothing has. Raises FileExistsError or another OSError."""
    call = getattr(_libc, "renameat2", None)
    if call is not None and call(folder_fd, name, new_folder_fd, new_name, _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno() if call else errno.ENOSYS
    if code not in _CANNOT:
        raise OSError(code, os.strerror(code), new_name)
    try:
        os.link(name, new_name, src_dir_fd=folder_fd, dst_dir_fd=new_folder_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        _rename_where_none_is(folder_fd, name, new_folder_fd, new_name)
    else:
        os.unlink(name, dir_fd=folder_fd)


def _rename_where_none_is(folder_fd: int, name: bytes, new_folder_fd: int, new_name: bytes) -> None:
    """Look first, then rename: all that is left where the file system knows neither links nor careful renames."""
    try:
        os.stat(new_name, dir_fd=new_folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(name, new_name, src_dir_fd=folder_fd, dst_dir_fd=new_folder_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)
