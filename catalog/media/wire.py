"""Messages between the pool and its decoder processes: a JSON header, raw bytes, and file descriptors; nothing executable."""

from __future__ import annotations

import array
import json
import socket
import struct
from typing import Any

_LENGTHS = struct.Struct("!II")
MOST_HEADER_BYTES = 16 * 1024 * 1024
MOST_BLOB_BYTES = 64 * 1024 * 1024
MOST_DESCRIPTORS = 128


class BadMessage(ValueError):
    """The bytes received are no message."""


def encode(header: dict[str, Any], blob: bytes = b"") -> bytes:
    """Return the bytes of one message."""
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode("ascii")
    return _LENGTHS.pack(len(text), len(blob)) + text + blob


def send(channel: socket.socket, message: bytes, descriptors: list[int] | None = None) -> None:
    """Send `message`, and with its first byte the open `descriptors`. Raises OSError when the other side is gone."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    sent = channel.sendmsg([message], ancillary)
    if sent < len(message):
        channel.sendall(memoryview(message)[sent:])


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Wait for one message and return its header and descriptors; None at the end of the stream."""
    size = array.array("i").itemsize
    head, ancillary, _, _ = channel.recvmsg(_LENGTHS.size, socket.CMSG_SPACE(MOST_DESCRIPTORS * size))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % size])
    if not head:
        return None
    head += _exactly(channel, _LENGTHS.size - len(head))
    header_bytes, blob_bytes = _LENGTHS.unpack(head)
    header = json.loads(_exactly(channel, header_bytes))
    _exactly(channel, blob_bytes)
    return header, list(descriptors)


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = channel.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise BadMessage("the stream ended inside a message")
        parts += part
    return bytes(parts)


def take(buffer: bytearray) -> tuple[dict[str, Any], bytes] | None:
    """Remove the first whole message from `buffer` and return its header and bytes; None while it is incomplete.

    Raises BadMessage.
    """
    if len(buffer) < _LENGTHS.size:
        return None
    header_bytes, blob_bytes = _LENGTHS.unpack_from(buffer)
    if header_bytes > MOST_HEADER_BYTES or blob_bytes > MOST_BLOB_BYTES:
        raise BadMessage("a message is larger than any honest one")
    end = _LENGTHS.size + header_bytes + blob_bytes
    if len(buffer) < end:
        return None
    try:
        header = json.loads(buffer[_LENGTHS.size : _LENGTHS.size + header_bytes])
    except (ValueError, RecursionError) as error:
        raise BadMessage("a header is no JSON") from error
    if not isinstance(header, dict):
        raise BadMessage("a header is no object")
    blob = bytes(buffer[_LENGTHS.size + header_bytes : end])
    del buffer[:end]
    return header, blob
