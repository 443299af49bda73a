"""Finished operations are forgotten after a month; what somebody may still want is kept."""

from datetime import timedelta

import pytest
from django.utils import timezone

from operations.models import Operation
from operations.purging import purge_finished
from operations.tasks import purge

pytestmark = pytest.mark.django_db


def test_what_ended_long_ago_goes_and_what_may_be_wanted_stays(alice, monkeypatch):
    monkeypatch.setattr("operations.purging.BATCH", 2)
    now = timezone.now()

    def make(state, days, key="scan:1", **fields):
        ended = now - timedelta(days=days)
        finished = None if state in ("pending", "interrupted") else ended
        row = Operation.objects.create(
            owner=alice, kind="scan", active_key=key, state=state, created_at=ended, finished_at=finished, **fields
        )
        return row.pk

    goes = {make("completed", 90), make("completed", 60), make("cancelled", 40), make("failed", 50, superseded=True)}
    goes.add(make("completed", 31))
    stays = {
        make("completed", 29),
        make("completed", 200, key="scan:2"),  # the last one of its library
        make("failed", 300),
        make("interrupted", 300, key="scan:3"),
        make("pending", 300, key="scan:4"),
        make("cancelled", 3),
    }
    assert purge() == len(goes)
    assert set(Operation.objects.values_list("pk", flat=True)) == stays
    assert purge_finished() == 0


def test_the_setting_counts(alice, settings):
    settings.KEEP_OPERATIONS_DAYS = 2
    old = timezone.now() - timedelta(days=3)
    for _ in range(2):
        Operation.objects.create(owner=alice, kind="scan", active_key="a", state="completed", finished_at=old)
    assert purge_finished() == 1
