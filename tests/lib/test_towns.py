"""Names of places: the town at a position, by a table that the server has."""

import subprocess
import sys

import pytest

from photolala.lib.towns import nearest_town, place_name


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [
        (46.624, 8.041, "Grindelwald, Switzerland"),
        (48.8606, 2.3376, "Paris, France"),  # not one of its quarters
        (48.8049, 2.1204, "Versailles, France"),  # not the large town beside it
        (64.1466, -21.9426, "Reykjavík, Iceland"),  # letters that JSON writes as escapes
        (45.9763, 7.6586, "near Zermatt, Switzerland"),
        (-16.7801, 179.9999, ""),
        (0.5, -30.0, ""),  # the sea
        (90.0, 0.0, ""),
        (-90.0, 180.0, ""),
        (None, 8.0, ""),
        (46.0, None, ""),
    ],
)
def test_a_place_has_the_name_of_its_town(latitude, longitude, name):
    assert place_name(latitude, longitude) == name


def test_a_town_is_found_across_the_line_where_the_date_changes():
    assert nearest_town(-16.78, 180.0) == nearest_town(-16.78, -180.0)
    east, west = nearest_town(66.17, -169.81), nearest_town(64.73, 177.51)
    assert (east, west.name) == (None, "Anadyr")


def test_the_table_costs_little_memory():
    """The table has 61 MB on disk: read as a whole it would take five times as much."""
    measure = (
        "import resource; from photolala.lib import towns;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; towns.nearest_town(46.6, 8.0);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    told = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 60 * 1024
