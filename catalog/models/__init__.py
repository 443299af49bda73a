"""What photos there are: the tables."""

from .favourite import Favourite
from .hash_cache import HashCache
from .library import Library, Membership
from .photo import Photo, PhotoMetadata
from .snapshot import Snapshot

__all__ = ["Favourite", "HashCache", "Library", "Membership", "Photo", "PhotoMetadata", "Snapshot"]
