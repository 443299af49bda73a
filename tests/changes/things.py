"""Two types that only tests have, in tables that no app owns: things of users, and lists of which they are shown in."""

import uuid

from django.db import models

from changes import types
from changes.models import Numbered, NumberedQuerySet


class Thing(Numbered):
    """Something that a user has."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.UUIDField()
    text = models.TextField(default="")
    private = models.TextField(default="")
    trashed_at = models.DateTimeField(null=True)

    objects = NumberedQuerySet.as_manager()

    class Meta:
        app_label = "tests_of_changes"
        indexes = [models.Index(fields=["owner", "version"], name="thing_by_version")]

    def __str__(self):
        return self.text


THING = types.Kind(
    name="thing",
    model=Thing,
    scope="user",
    scope_column="owner",
    fields=(types.Field("text"),),
    parents=(),
    data=lambda rows, scope: [{"text": row.text} for row in rows],
    marks=frozenset({"owner", "text", "trashed_at"}),
    live=models.Q(trashed_at=None),
    shown_in=frozenset({"album"}),
)
