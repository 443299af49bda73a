"""What people see of their devices, on the profile and on the page of sync: what waits, since when, and what to do."""

from typing import Any

import pytest
from django.test import Client

from tests.sync.server.conftest import Phone


@pytest.fixture
def site(phone: Phone) -> Client:
    browser = Client()
    browser.force_login(phone.user)
    return browser


@pytest.mark.parametrize("address", ["/me/", "/sync/"])
def test_what_waits_by_kind_and_what_was_refused_with_what_to_do(site: Client, phone: Phone, address: str) -> None:
    assert "phone" not in site.get("/sync/").content.decode().split("<main")[1]  # it has never synchronised
    phone.push(pending={"note": 3, "album": 1})
    phone.push(
        phone.edit("patch", "00000000-0000-0000-0000-000000000009", "1", title="x"), pending={"note": 3, "album": 1}
    )
    said: Any = site.get(address).content.decode()
    assert "1 album, 3 notes" in said
    assert "1 change could not be taken" in said
    assert "deleted for good, or is not shared with you any more" in said
