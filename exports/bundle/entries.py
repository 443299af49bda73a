"""The entries of a bundle's JSON files. Keys are camelCase, as the original application's; times are RFC 3339 text in UTC.

What may be missing in a file of another version is marked NotRequired; everything that this version writes is complete.
"""

from typing import Any, NotRequired, TypedDict


class Place(TypedDict):
    """Where something was, in degrees; both or neither of the two, and a name that may be empty."""

    latitude: float | None
    longitude: float | None
    name: str


class Attachment(TypedDict, total=False):
    """A photo of the catalog (`photo`: its id), or a file of its owner's media store."""

    photo: str
    media_md5: str
    media_type: str
    size_bytes: int
    name: str
    mediaPath: str


class Member(TypedDict):
    """Somebody else who may see, or also change."""

    username: str
    role: str


class Album(TypedDict):
    """An album; what is in it is in `album_items.json`."""

    id: str
    title: str
    description: str
    cover: str | None
    order: str
    query: dict[str, Any] | None
    allowsOriginals: NotRequired[bool]
    createdAt: str
    updatedAt: str
    syncVersion: NotRequired[int | None]
    owner: str
    members: list[Member]


class AlbumItem(TypedDict):
    """A photo or note in an album. `addedBy` is a user name."""

    id: str
    albumId: str
    targetType: str
    targetId: str
    position: str
    addedAt: str
    addedBy: str | None


class Note(TypedDict):
    """A note. `notedAt` has its own offset; `mediaPath` is that of the first attached file."""

    id: str
    type: str
    content: str
    caption: str
    mediaPath: str | None
    attachments: list[Attachment]
    notedAt: str
    place: Place | None
    createdAt: str
    updatedAt: str
    syncVersion: NotRequired[int | None]
    owner: str


class Block(TypedDict, total=False):
    """A block of a draft: `text`, `image`, `video`, `audio` or `camera`."""

    id: str
    type: str
    text: str
    attachment: Attachment | None
    caption: str
    place: Place | None
    mediaPath: str | None


class Draft(TypedDict):
    """A draft: blocks in order, and the ids of all albums that it shall be put into."""

    id: str
    blocks: list[Block]
    albums: list[str]
    createdAt: str
    updatedAt: str
    syncVersion: NotRequired[int | None]
    owner: str


class RatedPhoto(TypedDict):
    """What people said of one photo. A time says that somebody said it; null: nobody did, and the value says nothing.

    `taken` is RFC 3339 with an offset if one is known. Favourites are the stars by user name, `favouredAt` when they were given.
    """

    libraryId: str
    photoId: str
    photoMD5: str
    path: str
    sizeBytes: NotRequired[int]
    rating: int | None
    ratedAt: NotRequired[str | None]
    caption: str | None
    captionedAt: NotRequired[str | None]
    keywords: NotRequired[list[str] | None]
    keywordedAt: NotRequired[str | None]
    taken: str | None
    datedAt: NotRequired[str | None]
    place: Place | None
    placedAt: NotRequired[str | None]
    favourites: dict[str, int]
    favouredAt: NotRequired[dict[str, str]]


class Said(TypedDict, total=False):
    """What one person said of one photo, as in `RatedPhoto`; `name` is what the backup that it came from calls them."""

    name: str
    rating: int | None
    ratedAt: str | None
    caption: str | None
    captionedAt: str | None
    keywords: list[str] | None
    keywordedAt: str | None
    taken: str | None
    datedAt: str | None
    place: Place | None
    placedAt: str | None
    favourites: dict[str, int]
    favouredAt: dict[str, str | None]


class WaitingPhoto(TypedDict):
    """A photo that is not on the server: a backup restored there speaks of it. Without `said` things of `user` name it."""

    user: str
    photoId: str
    libraryId: str
    photoMD5: str
    path: str
    sizeBytes: int | None
    said: Said


class PhotoReference(TypedDict):
    """A photo that an album, note or draft names by its id: how to find it where it has another one."""

    id: str
    libraryId: str
    photoMD5: str
    path: str
    sizeBytes: int


class LibrarySettings(TypedDict):
    """What the owner of a library chose."""

    ratings: str
    fileTimes: str
    timeZone: str
    scanEveryHours: int
    verifyEveryDays: int
    isWatched: bool
    trashDays: int


class Library(TypedDict):
    """A library; its photos are no part of a backup, only where they are."""

    id: str
    name: str
    root: str
    source: str
    owner: str
    members: list[Member]
    settings: LibrarySettings
    snapshotMD5: str
    createdAt: NotRequired[str]


class Destination(TypedDict):
    """Where originals are exported to."""

    id: str
    name: str
    folder: str
    template: str
    owner: str
    createdAt: str
    withCompanions: NotRequired[bool]
    previewPx: NotRequired[int]


class ExportRecordEntry(TypedDict):
    """A record of an exported original; `record` is as in `export-records.json` (formats.md §4)."""

    destinationId: str
    record: dict[str, Any]


class MediaFile(TypedDict):
    """A file below `media/`: one for one content. `sourceUri` is where media stores keep it."""

    exportPath: str
    sourceUri: str
    photo_md5: str
    size_bytes: int
    media_type: NotRequired[str]


class User(TypedDict):
    """A person, with the hash of the password (never the password)."""

    id: str
    username: str
    email: str
    firstName: str
    lastName: str
    password: str
    isActive: bool
    isStaff: bool
    isSuperuser: bool
    quotaBytes: int | None
    permissions: list[str]
    groups: list[str]
    dateJoined: str


class Device(TypedDict):
    """A device that signed in; its token is no part of a backup, so that it has to sign in again."""

    id: str
    user: str
    name: str
    stableId: str
    createdAt: str
    lastSeenAt: str | None


class Setting(TypedDict):
    """A setting of the server as it was; no secrets. To be read by people, restoring sets none."""

    name: str
    value: Any


class Snapshot(TypedDict):
    """A snapshot in the history of a library; the file itself is beside the photos."""

    libraryId: str
    md5: str
    entryCount: int
    sizeBytes: int
    publishedAt: str


class Alias(TypedDict):
    """The bytes of a photo were rewritten: it is the same photo as before."""

    libraryId: str
    oldMD5: str
    newMD5: str


class Stats(TypedDict):
    """How many entries of each kind a bundle has."""

    albumCount: int
    noteCount: int
    draftCount: int
    mediaCount: int
    ratingCount: int
    photoCount: int


class Metadata(TypedDict):
    """What a bundle is. `scope` is `person` or `server`; `counts` has the number of entries of each list file by its name."""

    version: str
    exportDate: str
    userId: str
    username: NotRequired[str]
    deviceId: str
    appVersion: str
    epoch: int
    scope: NotRequired[str]
    stats: Stats
    counts: NotRequired[dict[str, int]]
