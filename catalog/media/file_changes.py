"""All changes that can be made in a photo's file: one for each kind of write."""

from catalog.media.keyword_change import KeywordChange as KeywordChange
from catalog.media.place_change import PlaceChange as PlaceChange
from catalog.media.place_change import embedded_place as embedded_place
from catalog.media.place_change import sidecar_place as sidecar_place
from catalog.media.tag_changes import CaptionChange, DateChange, RatingChange

FileChange = RatingChange | CaptionChange | KeywordChange | PlaceChange | DateChange
