"""Which address counts as the client's, and how failed sign-ins are counted."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import RequestFactory

from photolala.web import throttle
from photolala.web.throttle import SignInThrottle, client_address


@pytest.fixture(autouse=True)
def clean_cache() -> None:
    cache.clear()


def test_forwarded_addresses_count_only_behind_our_proxy(settings: Any) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.1, 198.51.100.2")
    settings.BEHIND_TLS = False
    assert client_address(request) == "10.0.0.1"
    settings.BEHIND_TLS = True
    assert client_address(request) == "198.51.100.2"
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="10.0.0.1")) == "10.0.0.1"


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
