"""Sign-in, the profile, the look, devices, and the pages of errors."""

import re

import pytest
from django.test import Client
from knox.models import AuthToken

from accounts.attempts import PER_NAME_AND_ADDRESS, PER_OPEN_SESSION
from accounts.models import Device
from tests.factories import PASSWORD

NEW = "a new and quite long one"


def sign_in(browser, password=PASSWORD, username="alice", **more):
    return browser.post("/sign-in/", {"username": username, "password": password, **more})


def test_signing_in_leads_to_the_page_that_was_asked_for(anonymous):
    assert anonymous.get("/libraries/").headers["Location"] == "/sign-in/?next=/libraries/"
    response = sign_in(anonymous, next="/libraries/")
    assert (response.status_code, response["Location"]) == (302, "/libraries/")
    assert anonymous.get("/libraries/").status_code == 200


def test_signing_in_never_leads_to_another_site(anonymous):
    assert sign_in(anonymous, next="https://evil.example/")["Location"] == "/"


def test_a_wrong_password_is_told_without_saying_what_was_wrong(anonymous):
    wrong, unknown = sign_in(anonymous, "wrong"), sign_in(anonymous, "wrong", "nobody")
    assert wrong.status_code == unknown.status_code == 200
    assert b"Please enter a correct username and password" in wrong.content
    assert b"Please enter a correct username and password" in unknown.content


def test_guessing_is_slowed_down_even_for_the_right_password(anonymous):
    for _ in range(PER_NAME_AND_ADDRESS.free):
        assert sign_in(anonymous, "wrong").status_code == 200
    response = sign_in(anonymous)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert b"Too many wrong passwords" in response.content
    assert anonymous.get("/libraries/").status_code == 302
    assert sign_in(anonymous, username="bob").status_code == 302


def test_signing_out_needs_a_post_and_ends_the_session(alice):
    opened = alice.get("/sign-out/")
    assert (opened.status_code, opened["Allow"]) == (405, "POST, OPTIONS")
    assert b"only takes what a form sends" in opened.content
    assert alice.post("/sign-out/").status_code == 302
    assert alice.get("/libraries/").status_code == 302


def test_the_password_can_be_changed_and_other_browsers_are_signed_out(cast, alice):
    elsewhere = Client()
    elsewhere.force_login(cast.alice)
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert alice.post("/me/password/", form).status_code == 302
    assert alice.get("/me/").status_code == 200
    assert elsewhere.get("/me/").status_code == 302
    assert sign_in(Client(), NEW).status_code == 302


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"old_password": "wrong", "new_password1": NEW, "new_password2": NEW}, "entered incorrectly"),
        ({"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"}, "too short"),
        ({"old_password": PASSWORD, "new_password1": NEW, "new_password2": "other"}, "match"),
        ({}, "required"),
    ],
)
def test_a_bad_new_password_is_refused_with_the_reason(cast, alice, form, words):
    response = alice.post("/me/password/", form)
    assert response.status_code == 422
    assert words in response.content.decode()
    cast.alice.refresh_from_db()
    assert cast.alice.check_password(PASSWORD)


def test_a_token_is_made_with_the_password_and_shown_once(cast, alice):
    page = alice.post("/me/devices/", {"name": "  My   script ", "password": PASSWORD})
    assert page.status_code == 201 and "no-store" in page["Cache-Control"]
    token = re.search(r'aria-label="Token">(\w+)</pre>', page.content.decode())[1]
    assert cast.alice.devices.get().name == "My script"
    answer = Client().get("/api/v1/me/", headers={"Authorization": f"Token {token}"})
    assert answer.json()["username"] == "alice"
    assert token not in alice.get("/me/").content.decode()


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "Script", "password": "wrong"}, "That is not your password. No token was made."),
        ({"name": " ", "password": PASSWORD}, "Give the device or script a name"),
        ({"name": "x" * 101, "password": PASSWORD}, "at most 100 characters"),
        ({"name": "a\0b", "password": PASSWORD}, "Give the device or script a name"),
    ],
)
def test_a_token_is_refused_with_the_reason(cast, alice, form, words):
    page = alice.post("/me/devices/", form)
    assert page.status_code == 422 and words in page.content.decode()
    assert not cast.alice.devices.exists()


def test_nobody_guesses_the_password_by_asking_for_tokens(cast, alice):
    for _ in range(PER_OPEN_SESSION.free):
        alice.post("/me/devices/", {"name": "Script", "password": "wrong"})
    page = alice.post("/me/devices/", {"name": "Script", "password": PASSWORD})
    assert page.status_code == 429 and int(page["Retry-After"]) > 0
    assert not cast.alice.devices.exists()


def test_an_open_browser_is_no_place_to_guess_the_password(cast, alice):
    form = {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW}
    for _ in range(PER_OPEN_SESSION.free):
        assert alice.post("/me/password/", form).status_code == 422
    answer = alice.post("/me/password/", {**form, "old_password": PASSWORD})
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.content.decode()
    cast.alice.refresh_from_db()
    assert cast.alice.check_password(PASSWORD)


def test_a_revoked_device_is_signed_out_at_once(cast, alice):
    row, token = AuthToken.objects.create(cast.alice)
    device = Device.objects.create(user=cast.alice, name="Pixel", token=row)
    assert "Pixel" in alice.get("/me/").content.decode()
    headers = {"Authorization": f"Token {token}"}
    assert Client(headers=headers).get("/api/v1/photos/").status_code == 200
    assert alice.post(f"/me/devices/{device.pk}/revoke/").status_code == 302
    assert Client(headers=headers).get("/api/v1/photos/").status_code == 401
    assert not Device.objects.exists()


def test_the_look_is_in_the_first_byte_of_the_next_page(alice):
    assert "data-theme" not in alice.get("/me/").content.decode().split("<head>")[0]
    alice.post("/me/theme/", {"theme": "dark"})
    assert '<html lang="en" data-theme="dark">' in alice.get("/libraries/").content.decode()
    alice.post("/me/theme/", {"theme": "auto"})
    assert "data-theme" not in alice.get("/me/").content.decode().split("<head>")[0]
    assert alice.post("/me/theme/", {"theme": '"><script>'}).status_code == 400


def test_a_forged_look_is_ignored(alice):
    alice.cookies["theme"] = '"><script>'
    assert '<html lang="en">' in alice.get("/me/").content.decode()


def test_what_is_not_there_says_so_to_everybody(alice, anonymous):
    for browser in (alice, anonymous):
        response = browser.get("/no/such/page/")
        assert response.status_code == 404
        assert b"Nothing here" in response.content


def test_an_unexpected_error_has_a_page_of_its_own(alice, monkeypatch):
    def fail(*_):
        raise RuntimeError("unexpected")

    monkeypatch.setattr("catalog.pages.libraries.last_scans", fail)
    alice.raise_request_exception = False
    response = alice.get("/libraries/")
    assert response.status_code == 500
    assert b"Your photos are untouched" in response.content


def test_pages_forbid_foreign_code_and_carry_none_inline(cast, alice, anonymous):
    addresses = [
        "/",
        "/libraries/",
        "/libraries/add/",
        "/operations/",
        "/me/",
        f"/libraries/{cast.library.pk}/settings/",
    ]
    for browser, address in [(anonymous, "/sign-in/"), *[(alice, one) for one in addresses]]:
        response = browser.get(address)
        page = response.content.decode()
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert "unsafe" not in response["Content-Security-Policy"]
        assert " style=" not in page
        assert "<style" not in page
        assert " onclick=" not in page
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert len(response.content) <= 60_000
