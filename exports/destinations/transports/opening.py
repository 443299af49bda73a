"""Which transport a destination has. What S3 needs is imported for a destination in a bucket only: it takes long."""

from typing import TYPE_CHECKING

from exports.models import ExportDestination

from .base import Transport
from .folders import FolderTransport

if TYPE_CHECKING:
    from .buckets import BucketTransport


def transport_of(destination: ExportDestination) -> Transport:
    """Return what writes to the destination and reads from it. Nothing is opened yet."""
    return bucket_transport(destination) if destination.is_bucket else FolderTransport(destination.path)


def bucket_transport(destination: ExportDestination) -> "BucketTransport":
    """Return the transport of a destination in a bucket."""
    from .buckets import BucketTransport

    return BucketTransport(destination.bucket_root)
