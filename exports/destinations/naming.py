"""Which folder and name a photo gets in a destination, by its template."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from accounts.models import User
from catalog.models import Album, AlbumItem
from exports.ledger.errors import InvalidRecord
from exports.ledger.placement import place_in
from exports.ledger.store import Place
from exports.ledger.templates import NAME_FIELD, Template
from exports.refusals import ExportRefused

FIELDS = frozenset({"album", "camera", "library", NAME_FIELD})
NO_ALBUM, NO_CAMERA = "No album", "Unknown camera"


class Photographed(Protocol):
    """What is asked of a photo; the names are those of its columns."""

    @property
    def id(self) -> UUID: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def taken_local(self) -> datetime: ...
    @property
    def taken_source(self) -> str: ...
    @property
    def camera_make(self) -> str: ...
    @property
    def camera_model(self) -> str: ...


class Named(NamedTuple):
    """Where a photo goes, and what it is called there before it meets a file of that name."""

    place: Place
    filename: str


class Naming:
    """Gives photos their folders and names; asks for the albums of many at once."""

    def __init__(self, template: str, library_name: str, owner: User) -> None:
        """Raises InvalidRecord if the template cannot be used."""
        self._template = Template(template, FIELDS)
        self._library_name, self._owner = library_name, owner
        self._albums: dict[UUID, str] = {}

    def prepare(self, photos: Iterable[UUID]) -> None:
        """Look up what names of these photos need: with `{album}` two queries, else nothing."""
        if "album" in self._template.fields:
            self._albums = first_albums(photos, self._owner)

    def name(self, photo: Photographed, original: str) -> Named:
        """Return where the photo goes; `original` is its file's name on disk. InvalidRecord if it has no place."""
        shown = photo.taken_local
        if not photo.taken_source:
            shown = datetime.fromtimestamp(max(0, photo.mtime_ns) / 1e9, UTC)
        values = {
            "album": self._albums.get(photo.id, NO_ALBUM),
            "camera": camera_of(photo.camera_make, photo.camera_model),
            "library": self._library_name,
            NAME_FIELD: original.rpartition(".")[0] or original,
        }
        return Named(place_in(self._template, shown, values), self._template.filename(shown, values, original))


def check_template(template: str) -> None:
    """Raise ExportRefused unless `template` names folders below a destination."""
    try:
        read = Template(template, FIELDS)
        place_in(read, datetime(2024, 2, 29, tzinfo=UTC), dict.fromkeys(FIELDS, "x"))
    except InvalidRecord as error:
        raise ExportRefused(f"{error} Nothing was changed.", "bad_template") from None


def first_albums(photos: Iterable[UUID], owner: User) -> dict[UUID, str]:
    """Return, for each of these photos that is in albums of `owner`, the title of the first of them by name."""
    items = AlbumItem.objects.live().filter(
        photo__in=list(photos), album__in=Album.objects.visible_to(owner).values("pk")
    )
    first: dict[UUID, tuple[str, str]] = {}
    for photo, title, album in items.order_by().values_list("photo", "album__title", "album"):
        key = (title.casefold(), str(album))
        if photo not in first or key < (first[photo][0].casefold(), first[photo][1]):
            first[photo] = (title, str(album))
    return {photo: title for photo, (title, _) in first.items()}


def camera_of(make: str, model: str) -> str:
    """Return how people call a camera: its model, with its make if the model does not begin with it."""
    make, model = make.strip(), model.strip()
    if not model or not make or model.casefold().startswith(make.casefold()):
        return model or make or NO_CAMERA
    return f"{make} {model}"
