"""Which address counts as the client's, and how failed sign-ins are counted."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import RequestFactory

from accounts import attempts, known
from accounts.attempts import (
    PER_ADDRESS,
    PER_KNOWN_DEVICE,
    PER_NAME,
    PER_NAME_AND_ADDRESS,
    Held,
    Lane,
    Limit,
    limits_of,
    password_attempt,
    seconds_to_wait,
    sign_in_attempt,
    wait_words,
)
from accounts.models import FailedSignIns
from photolala.web.proxies import believe, client_address

HERE, THERE = "192.0.2.1", "192.0.2.2"


def fail(name: str = "alice", address: str = HERE, secret: str = "", times: int = 1) -> None:
    for _ in range(times):
        with sign_in_attempt(name, address, secret):
            pass


def waits(name: str = "alice", address: str = HERE) -> int:
    return seconds_to_wait(limits_of(name, address))


def pass_by(seconds: float) -> None:
    for row in FailedSignIns.objects.all():
        FailedSignIns.objects.filter(pk=row.pk).update(failed_at=row.failed_at - timedelta(seconds=seconds))


def test_forwarded_addresses_count_only_behind_our_proxy(settings: Any) -> None:
    def asked(**headers: str) -> str:
        request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **headers)
        believe(request)
        return client_address(request)

    forwarded = {"HTTP_X_FORWARDED_FOR": "192.0.2.1, 198.51.100.2"}
    settings.BEHIND_TLS = False
    assert asked(**forwarded) == "10.0.0.1"
    settings.BEHIND_TLS = True
    assert asked(**forwarded) == "198.51.100.2"
    assert asked() == "10.0.0.1"


def test_failures_are_per_user_and_address(db: None) -> None:
    for _ in range(PER_NAME_AND_ADDRESS.free):
        assert waits("Alice") == 0
        fail("Alice")
    assert waits("Alice") > 0
    assert waits("alice") > 0
    assert waits("alice", THERE) == 0
    assert waits("bob") == 0
    pass_by(3600)
    with sign_in_attempt("alice", HERE) as attempt:
        attempt.succeeded()
    assert waits("Alice") == 0


def test_each_next_failure_waits_twice_as_long_up_to_the_longest(db: None) -> None:
    fail(times=PER_NAME_AND_ADDRESS.free)
    seen = []
    for _ in range(9):
        seen.append(waits())
        with pytest.raises(Held) as held:
            fail()
        assert held.value.wait_seconds == seen[-1]
        pass_by(seen[-1])
        assert waits() == 0
        fail()
    assert seen == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_name_and_an_address_have_limits_of_their_own(db: None) -> None:
    for number in range(PER_NAME.free):
        fail("alice", f"198.51.100.{number % 250}")
    assert waits("alice", "203.0.113.1") == PER_NAME.first_seconds
    assert waits("bob", "203.0.113.1") == 0
    for number in range(PER_ADDRESS.free):
        fail(f"person{number}", "203.0.113.2")
    assert waits("bob", "203.0.113.2") == PER_ADDRESS.first_seconds


def test_guesses_a_day_are_as_the_page_on_security_says() -> None:
    def in_the_first_day(limit: Limit) -> tuple[int, int]:
        tries, seconds = 0, 0
        while seconds < 86400:
            tries += 1
            seconds += limit.wait_after(tries)
        return tries, 86400 // limit.longest_seconds

    assert in_the_first_day(PER_NAME_AND_ADDRESS) == (39, 24)
    assert in_the_first_day(PER_NAME) == (392, 288)
    assert in_the_first_day(PER_ADDRESS) == (1543, 1440)
    page = (django_settings.BASE_DIR / "docs/security.md").read_text()
    for figures in (
        "39 in the first day, then 24 a day",
        "392 in the first day, then 288 a day",
        "1,543 in the first day",
    ):
        assert figures in page


def test_a_success_takes_back_what_was_counted_in_advance(db: None) -> None:
    for number in range(PER_ADDRESS.free):
        fail(f"person{number}")
    pass_by(PER_ADDRESS.first_seconds)
    rows = list(FailedSignIns.objects.order_by("key").values())
    with sign_in_attempt("alice", HERE) as attempt:
        assert waits("bob") > 0, "nobody else gets this turn"
        attempt.succeeded()
    kept = [row for row in FailedSignIns.objects.order_by("key").values() if row["failures"]]
    assert kept == rows, "who has the right password takes nobody's turn, and leaves the address's count as it was"


def test_who_dies_before_the_answer_has_used_a_try(db: None) -> None:
    with pytest.raises(ZeroDivisionError), sign_in_attempt("alice", HERE):
        raise ZeroDivisionError
    assert set(FailedSignIns.objects.values_list("failures", flat=True)) == {1}


def test_spellings_of_one_name_and_addresses_of_one_network_count_together(db: None) -> None:
    for name in ("alice", " alice ", "ALICE", "\uff41lice"):
        fail(name, "2001:db8:1:2::1")
    for _ in range(PER_NAME_AND_ADDRESS.free - 4):
        assert waits("alice", "2001:db8:1:2:ffff::9") == 0
        fail("alice", "2001:db8:1:2::2")
    assert [bool(waits("alice", one)) for one in ("2001:db8:1:2:ffff::9", "2001:db8:1:3::1")] == [True, False]
    for address in ("192.0.2.7", "::ffff:192.0.2.7"):
        fail("bob", address, times=PER_NAME_AND_ADDRESS.free // 2)
    assert waits("bob", "192.0.2.7")
    assert not waits("bob", "192.0.2.8")
    assert not waits("bob", "not an address")


def test_a_clock_that_was_set_back_makes_nobody_wait_longer(db: None) -> None:
    fail(times=PER_NAME_AND_ADDRESS.free)
    pass_by(-365 * 86400)
    assert waits() == PER_NAME_AND_ADDRESS.first_seconds
    pass_by(366 * 86400 + 86400)
    assert waits() == 0
    fail()
    assert set(FailedSignIns.objects.values_list("failures", flat=True)) == {1}, "old failures are forgotten"


def test_nobody_fills_the_disk_or_pushes_out_a_heavy_count(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_ROWS", 60)
    monkeypatch.setattr(attempts, "PRUNE_EVERY", 5)
    fail(times=PER_NAME_AND_ADDRESS.free)
    for number in range(100):
        fail(f"person{number}", f"2001:db8:0:{number:x}::1")
        assert FailedSignIns.objects.count() <= 60 + 5 * 3
    assert waits() > 0


def test_the_table_tells_no_names_and_no_addresses(db: None) -> None:
    fail()
    assert not any("alice" in str(row) or HERE in str(row) for row in FailedSignIns.objects.values())


# -- what is known again --------------------------------------------------------------------------------------------------


def test_a_known_device_is_held_up_by_its_own_failures_only(alice: Any, bob: Any) -> None:
    secret, other = known.secret_for(alice), known.secret_for(alice)
    fail(times=PER_NAME_AND_ADDRESS.free)
    fail("alice", HERE, secret, times=PER_KNOWN_DEVICE.free)
    with pytest.raises(Held):
        fail("alice", HERE, secret)
    with sign_in_attempt("alice", HERE, other) as attempt:
        attempt.succeeded()
    with pytest.raises(Held):
        fail("alice", HERE, known.secret_for(bob))
    with pytest.raises(Held):
        fail("alice", HERE, "forged")
    with pytest.raises(Held):
        fail("ALICE", HERE, other)


def test_a_secret_is_worthless_after_another_password_and_after_signing_out_everywhere(alice: Any) -> None:
    secret = known.secret_for(alice)
    assert known.device_in(secret, "alice") and not known.device_in(secret, "bob")
    alice.sign_out_everywhere()
    assert not known.device_in(secret, "alice")
    newer = known.secret_for(alice, secret)
    assert known.device_in(newer, "alice")
    alice.set_password("another password 1")
    alice.save()
    assert not known.device_in(newer, "alice")
    assert not known.device_in(newer + "x", "alice") and not known.device_in("x" * 10_000, "alice")


def test_a_browser_of_several_people_knows_all_of_them(alice: Any, bob: Any) -> None:
    both = known.secret_for(bob, known.secret_for(alice))
    assert known.device_in(both, "alice") and known.device_in(both, "bob")
    again = known.secret_for(alice, both)
    assert known.device_in(again, "alice") == known.device_in(both, "alice"), "its own failures stay counted"


def test_who_found_an_open_browser_is_held_up_alone(alice: Any) -> None:
    for _ in range(attempts.PER_OPEN_SESSION.free):
        with password_attempt(alice):
            pass
    with pytest.raises(Held), password_attempt(alice):
        pass
    assert waits() == 0


# -- turns ----------------------------------------------------------------------------------------------------------------


def test_few_passwords_are_checked_at_once_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "TURN_SECONDS", 60)
    lane, at_once, refused = Lane(2), [], []
    inside = threading.Semaphore(0)
    full, go_on = threading.Event(), threading.Event()

    def check() -> None:
        try:
            with lane.turn():
                inside.release()
                at_once.append(inside._value)
                go_on.wait(60)
                inside.acquire()
        except Held as held:
            refused.append(held.is_busy)
            if len(refused) == 20:
                full.set()

    places = lane._places._value
    threads = [threading.Thread(target=check) for _ in range(places + 20)]
    for thread in threads:
        thread.start()
    assert full.wait(60), "who finds all places taken is told at once, and keeps no thread"
    go_on.set()
    for thread in threads:
        thread.join()
    assert max(at_once) <= 2 and len(at_once) == places and all(refused)
    assert places <= 2 + django_settings.WEB_THREADS // 4
    monkeypatch.setattr(attempts, "TURN_SECONDS", 0)
    with lane.turn(), lane.turn(), pytest.raises(Held), lane.turn():
        pass
    with lane.turn():
        pass


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "a second"),
        (2, "2 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (121, "3 minutes"),
        (3600, "60 minutes"),
    ],
)
def test_waits_are_said_in_words(seconds: int, words: str) -> None:
    assert wait_words(seconds) == words
