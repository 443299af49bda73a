"""What a client says of a synchronisation, and of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sync.protocol.values import JsonValue


class ErrorType(StrEnum):
    """Where the cause is."""

    NETWORK = "NETWORK_ERROR"
    AUTHENTICATION = "AUTHENTICATION_ERROR"
    SERVER = "SERVER_ERROR"
    CONFLICT = "CONFLICT_ERROR"
    STORAGE = "STORAGE_ERROR"
    UNKNOWN = "UNKNOWN_ERROR"


@dataclass(frozen=True)
class SyncError:
    """One thing that went wrong: a sentence for people; `retryable` if the next attempt may succeed by itself."""

    type: ErrorType
    message: str
    cause: str = ""
    retryable: bool = True

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {"type": self.type.value, "message": self.message, "cause": self.cause, "retryable": self.retryable}


@dataclass
class SyncResult:
    """What one synchronisation did. It counts what reached the other side, also if it ended with errors."""

    uploaded_items: int = 0
    downloaded_items: int = 0
    uploaded_media: int = 0
    downloaded_media: int = 0
    """Files of notes and drafts."""
    conflicts_resolved: int = 0
    """Edits that were merged, forked, or kept against a deletion."""
    refused_items: int = 0
    """Edits that the server did not take; they are kept in the list of refused edits."""
    held_deletions: int = 0
    """Deletions, here or there, that wait for a confirmation."""
    errors: list[SyncError] = field(default_factory=list)
    last_sync_ms: int | None = None

    @property
    def success(self) -> bool:
        """Whether both directions were completed."""
        return not self.errors

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {
            "success": self.success,
            "uploadedItems": self.uploaded_items,
            "downloadedItems": self.downloaded_items,
            "uploadedMedia": self.uploaded_media,
            "downloadedMedia": self.downloaded_media,
            "conflictsResolved": self.conflicts_resolved,
            "refusedItems": self.refused_items,
            "heldDeletions": self.held_deletions,
            "errors": [error.to_wire() for error in self.errors],
            "lastSyncTime": self.last_sync_ms,
        }


@dataclass(frozen=True)
class SyncStatus:
    """How a client is between synchronisations."""

    is_enabled: bool
    """False after the server refused the token: sign in anew."""
    last_sync_ms: int | None
    pending_uploads: Mapping[str, int]
    """Kind -> edits that wait to be sent; `media` -> files."""
    refused: int
    held_deletions: int
    is_syncing: bool
    next_try_ms: int | None
    """Not before then, after failures."""
    last_error: SyncError | None

    @property
    def has_errors(self) -> bool:
        """Whether the last synchronisation failed."""
        return self.last_error is not None

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {
            "isEnabled": self.is_enabled,
            "lastSyncTime": self.last_sync_ms,
            "pendingUploads": dict(self.pending_uploads),
            "refused": self.refused,
            "heldDeletions": self.held_deletions,
            "isSyncing": self.is_syncing,
            "nextTryTime": self.next_try_ms,
            "hasErrors": self.has_errors,
            "lastError": self.last_error.to_wire() if self.last_error else None,
        }
