"""Two kinds that only these tests have, in tables that no app owns: papers of users, and slips that are kept in a paper."""

import uuid
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from changes import types
from changes.fields import touched
from changes.models import Numbered, NumberedQuerySet

LONGEST_TITLE = 20


class Paper(Numbered):
    """Something written."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.UUIDField()
    title = models.TextField(default="")
    body = models.TextField(default="")
    mood = models.TextField(default="")
    stars = models.IntegerField(default=0)
    views = models.IntegerField(default=0)
    trashed_at = models.DateTimeField(null=True)

    objects = NumberedQuerySet.as_manager()

    class Meta:
        app_label = "tests_of_sync"
        indexes = [models.Index(fields=["owner", "version"], name="paper_by_version")]

    def __str__(self) -> str:
        return self.title


class Slip(Numbered):
    """Something kept in a paper; removed for good."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.UUIDField()
    paper = models.UUIDField()
    place = models.TextField(default="")

    objects = NumberedQuerySet.as_manager()

    class Meta:
        app_label = "tests_of_sync"
        indexes = [models.Index(fields=["owner", "version"], name="slip_by_version")]

    def __str__(self) -> str:
        return self.place


class PaperVerbs:
    """Whoever owns a paper changes it; what is too long is refused."""

    def create(self, user: Any, id: uuid.UUID, fields: Any) -> None:
        with transaction.atomic():
            Paper.objects.create(id=id, owner=user.pk, **_checked(fields))
            touched("paper", [id], fields, user=user.pk)

    def patch(self, user: Any, id: uuid.UUID, fields: Any) -> None:
        with transaction.atomic():
            _own(user, id).update(**_checked(fields))
            touched("paper", [id], fields, user=user.pk)

    def delete(self, user: Any, id: uuid.UUID) -> None:
        _own(user, id).update(trashed_at=timezone.now())

    def restore(self, user: Any, id: uuid.UUID) -> None:
        _own(user, id).update(trashed_at=None)


class SlipVerbs:
    """A slip needs its paper."""

    def create(self, user: Any, id: uuid.UUID, fields: Any) -> None:
        if not Paper.objects.filter(pk=fields["paperId"], owner=user.pk).exists():
            raise types.Refused("missing_ref", "There is no such paper.")
        with transaction.atomic():
            Slip.objects.create(id=id, owner=user.pk, paper=fields["paperId"], place=fields.get("place", ""))
            touched("slip", [id], fields, user=user.pk)

    def patch(self, user: Any, id: uuid.UUID, fields: Any) -> None:
        with transaction.atomic():
            Slip.objects.filter(pk=id, owner=user.pk).update(place=fields["place"])
            touched("slip", [id], fields, user=user.pk)

    def delete(self, user: Any, id: uuid.UUID) -> None:
        Slip.objects.filter(pk=id, owner=user.pk).delete()


def _own(user: Any, id: uuid.UUID) -> Any:
    return Paper.objects.filter(pk=id, owner=user.pk)


def _checked(fields: Any) -> Any:
    if len(fields.get("title", "")) > LONGEST_TITLE:
        raise types.Refused("too_long", f"A title has {LONGEST_TITLE} characters at most.")
    return fields


PAPER = types.Kind(
    name="paper",
    model=Paper,
    scope="user",
    scope_column="owner",
    fields=(
        types.Field("title"),
        types.Field("body", "keep_both"),
        types.Field("mood", "manual"),
        types.Field("stars"),
        types.Field("views", writable=False),
    ),
    parents=(),
    data=lambda rows, scope: [
        {"title": row.title, "body": row.body, "mood": row.mood, "stars": row.stars, "views": row.views} for row in rows
    ],
    marks=frozenset({"owner", "title", "body", "mood", "stars", "views", "trashed_at"}),
    verbs=PaperVerbs(),
    live=models.Q(trashed_at=None),
)
SLIP = types.Kind(
    name="slip",
    model=Slip,
    scope="user",
    scope_column="owner",
    fields=(types.Field("paperId"), types.Field("place", "matching_base")),
    parents=("paper",),
    data=lambda rows, scope: [{"paperId": str(row.paper), "place": row.place} for row in rows],
    marks=frozenset({"owner", "paper", "place"}),
    verbs=SlipVerbs(),
)
MODELS = (Paper, Slip)
