"""What the API's schema says of the parameters that `catalog.browsing.filters` reads."""

from typing import Any
from uuid import UUID

from catalog.browsing.filters import LONGEST_FOLDER, LONGEST_TEXT, LONGEST_TIME, MOST_LIBRARIES
from catalog.models import Photo
from catalog.searching.grammar import LONGEST_QUERY
from photolala.web.views import query

STATES = ["all", *Photo.State.values]
MOMENT: dict[str, Any] = {"format": "date-or-time", "maxLength": LONGEST_TIME}
"""A format of ours: `2024-05-01`, `2024-05-01T12:00:00`, `2024-05-01T12:00:00Z`, `2024-05-01T12:00:00+02:00`."""
PARAMETERS = [
    query("library", "Only this library's (may be repeated).", UUID, many=True, maxItems=MOST_LIBRARIES),
    query(
        "folder",
        "Only this folder's: its path below the root, as in `directory`; the root is the empty text.",
        maxLength=LONGEST_FOLDER,
    ),
    query("recursive", "With `folder`: also what is below it.", bool),
    query("taken_after", "Taken at or after this date, local time, or instant.", **MOMENT),
    query("taken_before", "Taken before this date, local time, or instant.", **MOMENT),
    query("media_type", "`image`, `video`, or a media type such as `image/jpeg`.", maxLength=LONGEST_TEXT),
    query("rating", "The photo's own stars, 0 to 5; 0 also finds the unrated.", int, minimum=0, maximum=5),
    query("min_rating", "So many of the photo's own stars, or more.", int, minimum=1, maximum=5),
    query("favourite", "`true`: one's own favourites, `false`: all others.", bool),
    query("min_favourite", "So many stars of one's own, or more.", int, minimum=1, maximum=5),
    query("favorite", "The former name of `favourite`.", bool, deprecated=True),
    query(
        "album",
        "Only those of one's own libraries that this album shows, or, if it is a saved search, that it finds.",
        UUID,
    ),
    query("camera", "A part of the camera's make or model.", maxLength=LONGEST_TEXT),
    query("has_gps", "Whether the place is known.", bool),
    query("q", "A search: words and conditions as docs/search.md describes them.", maxLength=LONGEST_QUERY),
    query("duplicates", "`true`: only those whose bytes are there more than once among what one may see.", bool),
    query("state", "`all`, or one of the states; if absent, all that have a picture.", enum=STATES),
]
