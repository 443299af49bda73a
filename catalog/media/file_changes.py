"""All changes that can be made in a photo's file: one for each kind of write."""

from catalog.media.keyword_change import KeywordChange as KeywordChange
from catalog.media.tag_changes import CaptionChange, DateChange, RatingChange

FileChange = RatingChange | CaptionChange | KeywordChange | DateChange
