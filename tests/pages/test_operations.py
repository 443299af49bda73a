"""The operations' pages, the notice of unfinished work, and the thin line at the top."""

import pytest
from django.urls import reverse
from django.utils import timezone

from operations.models import Operation, State

pytestmark = pytest.mark.usefixtures("no_bell")


def make(owner, **fields):
    return Operation.objects.create(**{"owner": owner, "kind": "scan", "subject": "Holidays", **fields})


def running(owner, **fields):
    now = timezone.now()
    values = {"state": "running", "phase": "Reading photos", "done": 12_340, "total": 49_360, "rate": 617.0}
    return make(owner, started_at=now, lease_until=now, **{**values, **fields})


def test_a_running_operation_shows_bar_numbers_rate_and_time_left(cast, alice):
    running(cast.alice)
    page = alice.get("/operations/").content.decode()
    assert 'value="0.2500"' in page
    assert "Reading photos · 12,340 of 49,360 photos · 25 % · 617 photos/s · 1 min left" in page
    assert "Cancel" in page


@pytest.mark.promise("S2-068", "S2-073")
def test_unfinished_work_is_announced_on_every_page_with_how_far_it_came(cast, alice):
    operation = make(cast.alice, state="interrupted", done=310, total=1_000)
    for address in ("/libraries/", "/me/", f"/libraries/{cast.library.pk}/about/"):
        page = alice.get(address).content.decode()
        assert "was interrupted" in page
        assert "at 310 of 1,000 photos" in page
        assert f'action="/operations/{operation.pk}/resume/"' in page


def test_a_dismissed_notice_stays_away_until_the_next_sign_in(cast, alice):
    operation = make(cast.alice, state="failed", error="The disk was full.")
    address = reverse("operations:dismiss", args=[operation.pk])
    response = alice.post(address, {"next": "/libraries/"})
    assert (response.status_code, response["Location"]) == (302, "/libraries/")
    assert "The disk was full." not in alice.get("/libraries/").content.decode()
    assert "The disk was full." in alice.get("/operations/").content.decode()
    alice.logout()
    alice.force_login(cast.alice)
    assert "The disk was full." in alice.get("/libraries/").content.decode()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_to_another_site(cast, alice, target):
    operation = make(cast.alice, state="failed")
    response = alice.post(reverse("operations:dismiss", args=[operation.pk]), {"next": target})
    assert response["Location"] == f"/operations/{operation.pk}/"


def test_cancel_stops_a_waiting_operation_at_once_and_asks_a_running_one(cast, alice):
    waiting, at_work = make(cast.alice), running(cast.alice)
    for operation in (waiting, at_work):
        assert alice.post(reverse("operations:cancel", args=[operation.pk])).status_code == 302
        operation.refresh_from_db()
    assert waiting.state == State.CANCELLED
    assert (at_work.state, at_work.cancel_requested) == (State.RUNNING, True)
    assert "Stopping" in alice.get("/operations/").content.decode()


def test_what_is_done_cannot_be_cancelled_or_resumed(cast, alice):
    operation = make(cast.alice, state="completed")
    for verb in ("cancel", "resume"):
        page = alice.post(reverse(f"operations:{verb}", args=[operation.pk]), follow=True).content.decode()
        assert "completed" in page
    operation.refresh_from_db()
    assert operation.state == State.COMPLETED


def test_resume_sets_it_to_work_again(cast, alice):
    operation = make(cast.alice, state="interrupted", done=5, total=9)
    alice.post(reverse("operations:resume", args=[operation.pk]))
    operation.refresh_from_db()
    assert (operation.state, operation.params) == (State.PENDING, {})


def test_resume_of_what_is_being_done_already_leads_to_the_one_at_work(cast, alice):
    old = make(cast.alice, state="failed", active_key="scan:x")
    at_work = running(cast.alice, active_key="scan:x")
    response = alice.post(reverse("operations:resume", args=[old.pk]))
    assert response["Location"] == f"/operations/{at_work.pk}/"
    old.refresh_from_db()
    assert old.state == State.FAILED


def test_the_question_about_gone_photos_is_explained_and_answered(cast, alice):
    operation = make(
        cast.alice, state="failed", error_code="confirm_gone", error="9,120 photos are gone.", result={"gone": 9120}
    )
    page = alice.get(f"/operations/{operation.pk}/").content.decode()
    assert "Mark 9,120 photos as missing" in page
    assert "marked as missing, not deleted" in page
    alice.post(reverse("operations:resume", args=[operation.pk]), {"confirm_gone": "1"})
    operation.refresh_from_db()
    assert (operation.state, operation.params["confirm_gone"]) == (State.PENDING, True)


def test_a_finished_operation_lists_counts_and_problems_with_markup_as_text(cast, alice):
    problems = [{"path": "a/<b>.jpg", "reason": "The file is <torn>."}]
    result = {
        "found": 12_340,
        "survey_seconds": 4.25,
        "written_bytes": 41_000_000,
        "problems": problems,
        "problem_count": 7,
    }
    operation = make(cast.alice, state="completed", result=result, error_detail="Traceback <here>")
    page = alice.get(f"/operations/{operation.pk}/").content.decode()
    for text in ("12,340", "4.2 s", "41.0 MB", "a/&lt;b&gt;.jpg", "The file is &lt;torn&gt;.", "1 problem of 7"):
        assert text in page
    assert "Traceback &lt;here&gt;" in page
    assert "<torn>" not in page


def test_operations_of_others_are_not_listed(cast, bob):
    running(cast.alice)
    make(cast.alice, state="failed", error="The disk was full.")
    page = bob.get("/operations/").content.decode()
    assert "Nothing has run yet" in page
    assert "The disk was full." not in bob.get("/libraries/").content.decode()


@pytest.mark.parametrize("count", [2, 20])
def test_the_list_needs_the_same_queries_for_many(cast, alice, django_assert_max_num_queries, count):
    for number in range(count):
        make(cast.alice, state=["completed", "failed", "pending", "cancelled"][number % 4])
    with django_assert_max_num_queries(5):
        assert alice.get("/operations/").status_code == 200


def test_what_was_cancelled_can_be_resumed_from_the_list(cast, alice):
    operation = make(cast.alice, state="cancelled", finished_at=timezone.now())
    assert f'action="/operations/{operation.pk}/resume/"' in alice.get("/operations/").content.decode()
    make(cast.alice, state="completed", finished_at=timezone.now())
    assert alice.get("/operations/").content.decode().count("/resume/") == 1


def test_a_lost_pointer_asks_for_the_folder_and_many_lost_photos_for_them(cast, alice):
    lost = make(cast.alice, state="failed", error_code="confirm_gone", error="The file .photolala.md5 is gone.")
    page = alice.get(f"/operations/{lost.pk}/").content.decode()
    assert "Is this the right folder?" in page
    assert "It is the right folder</button>" in page
    gone = make(cast.alice, state="failed", error_code="confirm_gone", error="Gone.", result={"gone": 9_120})
    page = alice.get(f"/operations/{gone.pk}/").content.decode()
    assert "Are these photos really gone?" in page
    assert "Mark 9,120 photos as missing" in page


def test_bytes_read_are_shown_as_a_size(cast, alice):
    operation = running(cast.alice, metrics={"files_read": 60, "bytes_read": 140_305_979})
    page = alice.get(f"/operations/{operation.pk}/").content.decode()
    assert "140 MB" in page
    assert "140,305,979" not in page
