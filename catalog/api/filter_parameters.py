"""What the API's schema says of the parameters that `catalog.filters` reads."""

from uuid import UUID

from photolala.web.views import query

PARAMETERS = [
    query("library", "Only this library's (may be repeated).", UUID, many=True),
    query("folder", "Only this folder's: its path below the root, as in `directory`; the root is the empty text."),
    query("recursive", "With `folder`: also what lies below it.", bool),
    query("taken_after", "Taken at or after this date, local time, or instant."),
    query("taken_before", "Taken before this date, local time, or instant."),
    query("media_type", "`image`, `video`, or a media type such as `image/jpeg`."),
    query("rating", "The photo's own stars, 0 to 5; 0 also finds the unrated.", int),
    query("favourite", "`true`: one's own favourites, `false`: all others. `favorite` means the same.", bool),
    query("camera", "A part of the camera's make or model."),
    query("has_gps", "Whether the place is known.", bool),
    query("q", "Words that are all found in caption, file name or keywords."),
    query("duplicates", "`true`: only those whose bytes are there more than once among what one may see.", bool),
    query("state", "`surveyed`, `ready`, `damaged`, `broken`, `missing` or `all`; if absent, all that have a picture."),
]
