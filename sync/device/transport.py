"""How a client reaches its server: four calls, and the ways in which they fail."""

from typing import Protocol

from sync.protocol.messages import ChangesReply, ChangesRequest, DigestReply, Info, PushReply, PushRequest


class Transport(Protocol):
    """A server, or what stands for one. Each call is one request; besides TransportErrors they raise ProtocolProblems.

    A call that fails may have been carried out all the same: its reply may be what was lost.
    """

    def info(self) -> Info:
        """Return what the server says of itself and of this device."""

    def push(self, request: PushRequest) -> PushReply:
        """Send mutations and return what became of them."""

    def changes(self, request: ChangesRequest) -> ChangesReply:
        """Return one page of changes."""

    def digest(self, scope: str) -> DigestReply:
        """Return the server's digest of a scope."""


class TransportError(Exception):
    """A request without a usable reply."""


class Unreachable(TransportError):
    """No connection, or it broke; the request may have arrived."""


class NotAllowed(TransportError):
    """The token is not, or no longer, valid (401, 403)."""


class NotThere(TransportError):
    """The server knows no such address or scope, or does not show it (404)."""


class Unavailable(TransportError):
    """The server is busy (429, 503); `retry_after_ms` is how long it asks to wait, if it says."""

    def __init__(self, sentence: str, retry_after_ms: int | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_ms = retry_after_ms


class ServerFault(TransportError):
    """The server failed (5xx), or its reply cannot be read."""
