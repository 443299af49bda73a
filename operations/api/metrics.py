"""Figures of an operation while it runs."""

from typing import Any

from rest_framework import serializers

from .result_members import duration, number


class StageBody(serializers.Serializer[Any]):
    """One stage of the work."""

    name = serializers.CharField()
    seconds = serializers.FloatField()
    done = serializers.IntegerField()
    unit = serializers.CharField()


class MetricsBody(serializers.Serializer[Any]):
    """Figures of the work so far; which of them there are depends on its kind."""

    stages = StageBody(many=True, required=False)
    seconds = duration()
    interruptions = number("How often it went on after its worker was killed.")
    files_compared = number()
    files_read = number()
    files_read_by_assistants = number("By other processes than the first.")
    bytes_read = number()
    cache_hits = number()
    later_columns_filled = number()
    known_from_memory = serializers.BooleanField(required=False)
    photos_processed = number()
    photos_total = number()
    media_copied = number()
    media_total = number()
    fraction = serializers.FloatField(required=False, help_text="0 to 1, by phases; of backups.")
