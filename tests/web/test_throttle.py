"""Which address counts as the client's, and how failed sign-ins are counted."""

import threading
from typing import Any

import pytest
from django.core.cache import cache
from django.test import RequestFactory

from photolala.web import throttle
from photolala.web.proxies import believe, client_address
from photolala.web.throttle import SignInThrottle


@pytest.fixture(autouse=True)
def clean_cache() -> None:
    cache.clear()


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


def test_failures_are_per_user_and_address() -> None:
    one = SignInThrottle("Alice", "192.0.2.1")
    for _ in range(throttle.MOST_FAILURES):
        assert one.seconds_to_wait() == 0
        one.failed()
    assert one.seconds_to_wait() > 0
    assert SignInThrottle("alice", "192.0.2.1").seconds_to_wait() > 0
    assert SignInThrottle("alice", "192.0.2.2").seconds_to_wait() == 0
    assert SignInThrottle("bob", "192.0.2.1").seconds_to_wait() == 0
    one.succeeded()
    assert one.seconds_to_wait() == 0


def test_spellings_of_one_name_and_addresses_of_one_network_count_together() -> None:
    for name in ("alice", " alice ", "ALICE", "\uff41lice"):
        SignInThrottle(name, "2001:db8:1:2::1").failed()
    counts = [SignInThrottle("alice", "2001:db8:1:2:ffff::9"), SignInThrottle("alice", "2001:db8:1:3::1")]
    for _ in range(throttle.MOST_FAILURES - 4):
        assert counts[0].seconds_to_wait() == 0
        SignInThrottle("alice", "2001:db8:1:2::2").failed()
    assert [bool(count.seconds_to_wait()) for count in counts] == [True, False]
    for address in ("192.0.2.7", "::ffff:192.0.2.7"):
        for _ in range(throttle.MOST_FAILURES // 2):
            SignInThrottle("bob", address).failed()
    assert SignInThrottle("bob", "192.0.2.7").seconds_to_wait()
    assert not SignInThrottle("bob", "192.0.2.8").seconds_to_wait()
    assert not SignInThrottle("bob", "not an address").seconds_to_wait()


def test_few_passwords_are_checked_at_once_and_none_more_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "TURN_SECONDS", 60)
    tries: list[int] = []
    at_once: list[int] = []
    inside = threading.Semaphore(0)

    def guess() -> None:
        one = SignInThrottle("alice", "192.0.2.1")
        with one.turn() as wait:
            inside.release()
            at_once.append(inside._value)
            if not wait:
                tries.append(1)
                one.failed()
            inside.acquire()

    threads = [threading.Thread(target=guess) for _ in range(throttle.MOST_FAILURES * 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(at_once) <= throttle.MOST_CHECKS
    assert throttle.MOST_FAILURES <= len(tries) < throttle.MOST_FAILURES + throttle.MOST_CHECKS
    monkeypatch.setattr(throttle, "TURN_SECONDS", 0)
    bob = SignInThrottle("bob", "192.0.2.2")
    with bob.turn(), bob.turn(), bob.turn() as wait:
        assert wait == throttle.BUSY_SECONDS
    with bob.turn() as wait:
        assert wait == 0
