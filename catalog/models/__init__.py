"""What photos there are: the tables."""

from .album import Album, AlbumItem, AlbumMember
from .alias import Alias
from .favourite import Favourite, Withdrawal, favourite_id
from .file_write import FileWrite
from .hash_cache import HashCache
from .importing import FinishedUpload, Import, ImportItem, KeptDocument, Upload
from .library import Library, Membership
from .note import Attachment, Draft, Media, Note
from .photo import Photo, PhotoMetadata
from .search_text import SearchFacet, SearchKind, SearchQueue, SearchText
from .similar import SimilarGroup
from .snapshot import Snapshot
from .star_queue import QueuedStar
from .trash import TrashItem

__all__ = [
    "Album",
    "AlbumItem",
    "AlbumMember",
    "Alias",
    "Attachment",
    "Draft",
    "Favourite",
    "FileWrite",
    "FinishedUpload",
    "HashCache",
    "Import",
    "ImportItem",
    "KeptDocument",
    "Library",
    "Media",
    "Membership",
    "Note",
    "Photo",
    "PhotoMetadata",
    "QueuedStar",
    "SearchFacet",
    "SearchKind",
    "SearchQueue",
    "SearchText",
    "SimilarGroup",
    "Snapshot",
    "TrashItem",
    "Upload",
    "Withdrawal",
    "favourite_id",
]
