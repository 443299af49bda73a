"""What the results of several kinds of operations have in common."""

from typing import Any

from rest_framework import serializers


def number(help_text: str = "") -> serializers.IntegerField:
    """Return a member that is a number of something, absent until it is known."""
    return serializers.IntegerField(required=False, help_text=help_text)


def duration(help_text: str = "") -> serializers.FloatField:
    """Return a member that is a time in seconds, absent until it is known."""
    return serializers.FloatField(required=False, help_text=help_text)


class FileProblem(serializers.Serializer[Any]):
    """A file with which something was wrong."""

    path = serializers.CharField()
    reason = serializers.CharField()


class LibraryResult(serializers.Serializer[Any]):
    """Of work on one library."""

    library = serializers.UUIDField(required=False)


class ProblemsResult(LibraryResult):
    """Of work that continues after problems with single files; the first of them are listed."""

    problem_count = number()
    problems = FileProblem(many=True, required=False)
