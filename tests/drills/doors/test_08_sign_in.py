"""Who guesses passwords waits longer and longer; who signed in here before, and has the right one, does not wait for that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts import known
from accounts.attempts import PER_ADDRESS, PER_NAME_AND_ADDRESS
from accounts.models import FailedSignIns, User
from tests.drills.doors.parallel import at_once, installation_in
from tests.drills.scanning import Installation
from tests.factories import PASSWORD, make_user

DEVICES = "/api/v1/auth/devices/"


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


def page(browser: Client, username: str = "alice", password: str = PASSWORD) -> Any:
    return browser.post("/sign-in/", {"username": username, "password": password})


def device(username: str = "alice", password: str = PASSWORD, **more: str) -> Any:
    return APIClient().post(DEVICES, {"username": username, "password": password, "name": "Phone", **more})


def time_passes(seconds: float) -> None:
    for row in FailedSignIns.objects.all():
        FailedSignIns.objects.filter(pk=row.pk).update(failed_at=row.failed_at - timedelta(seconds=seconds))


def test_a_hundred_failures_from_one_address_keep_out_nobody_who_was_here_before(alice: User) -> None:
    browser, phone = Client(), device().json()["device_secret"]
    assert page(browser).status_code == 302
    browser.post("/sign-out/")
    for number in range(PER_NAME_AND_ADDRESS.free):
        assert page(Client(), password=f"guess {number}").status_code == 200
    for number in range(PER_ADDRESS.free - PER_NAME_AND_ADDRESS.free):
        assert device(f"person{number}", "guess").status_code == 401
    for answer in (page(Client()), page(Client(), "bob"), device(), device(device_secret="forged")):
        assert answer.status_code == 429 and int(answer["Retry-After"]) > 0
        assert "Too many wrong passwords" in answer.content.decode()
    assert page(browser).status_code == 302, "this browser was here before"
    assert device(device_secret=phone).status_code == 201, "this phone was here before"
    time_passes(PER_NAME_AND_ADDRESS.first_seconds)
    assert page(Client()).status_code == 302, "the waits are short at first"


def test_what_is_kept_of_a_browser_is_signed_and_closed_to_scripts(alice: User) -> None:
    browser = Client()
    page(browser)
    cookie = browser.cookies[known.COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and int(cookie["max-age"]) > 300 * 86400
    browser.post("/sign-out/")
    browser.cookies[known.COOKIE] = cookie.value[:-3] + "xxx"
    assert browser.get("/me/").status_code == 302, "it opens nothing"
    for _ in range(PER_NAME_AND_ADDRESS.free):
        page(browser, password="guess")
    assert page(browser).status_code == 429, "a forged one is none"


@pytest.mark.parametrize("how", ["password", "everywhere", "everywhere by the API", "admin"])
def test_what_a_browser_keeps_ends_with_the_password_and_with_signing_out_everywhere(alice: User, how: str) -> None:
    lost, mine = Client(), Client()
    page(lost), page(mine)
    token = device().json()["token"]
    phone = APIClient(headers={"Authorization": f"Token {token}"})
    if how == "password":
        new = "a new and quite long one"
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        assert mine.post("/me/password/", form).status_code == 302
    elif how == "everywhere":
        assert mine.post("/me/sign-out-everywhere/").status_code == 302
    elif how == "everywhere by the API":
        assert phone.post("/api/v1/auth/sign-out-everywhere/").status_code == 204
    else:
        alice.set_password("a new and quite long one")
        alice.save()
    alice.refresh_from_db()
    assert lost.get("/me/").status_code == 302
    assert not known.device_in(lost.cookies[known.COOKIE].value, "alice")
    keeps_mine = how in ("password", "everywhere")
    assert (mine.get("/me/").status_code == 200) == keeps_mine
    assert bool(known.device_in(mine.cookies[known.COOKIE].value, "alice")) == keeps_mine
    if how.startswith("everywhere"):
        assert not AuthToken.objects.exists()
        assert phone.get("/api/v1/me/").status_code == 401


def test_answers_tell_nothing_of_which_names_there_are(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = make_user("gone", is_active=False)
    hashed: list[int] = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda self, *a: (hashed.append(1), encode(self, *a))[1])
    seen: dict[str, list[Any]] = {}
    for number, name in enumerate(("alice", gone.username, "nobody")):
        answers = seen.setdefault(name, [])
        for turn in range(PER_NAME_AND_ADDRESS.free + 1):
            hashed.clear()
            body = {"username": name, "password": "guess"}
            if turn % 2:
                answer = APIClient().post(DEVICES, {**body, "name": "x"}, REMOTE_ADDR=f"192.0.2.{number}")
                text = answer.content.decode()
            else:
                answer = Client().post("/sign-in/", body, REMOTE_ADDR=f"192.0.2.{number}")
                text = answer.content.decode().partition('role="alert"')[2].partition("</div>")[0]
            answers.append((answer.status_code, text, len(hashed)))
    assert seen["alice"] == seen["gone"] == seen["nobody"]
    assert [status for status, _, _ in seen["nobody"]].count(429) == 1
    assert {checks for status, _, checks in seen["nobody"] if status != 429} == {1}


def test_the_admin_has_no_form_that_does_not_count(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(alice)
    for answer in (
        browser.get("/admin/password_change/"),
        browser.post("/admin/password_change/", {"old_password": "x"}),
    ):
        assert answer.status_code == 302 and answer["Location"] == "/me/"
    assert (
        Client().post("/admin/login/", {"username": "alice", "password": PASSWORD})["Location"].startswith("/sign-in/")
    )


# -- at once --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installation_in(tmp_path) as made:
        yield made


@pytest.mark.repeated
def test_many_tries_at_once_in_two_processes_are_no_more_than_allowed(installation: Installation) -> None:
    setup = """
from accounts import attempts
attempts.STRANGERS = attempts.Lane(50)  # the count alone must hold them
attempts.PER_NAME_AND_ADDRESS = attempts.Limit(attempts.PER_NAME_AND_ADDRESS.free, 3600, 3600)  # on slow machines too
def one(number):
    try:
        with attempts.sign_in_attempt("alice", "192.0.2.1"):
            return "checked"
    except attempts.Held:
        return "held"
"""
    answers = at_once(installation, setup, threads=20, processes=2)
    assert (answers.count("checked"), answers.count("held")) == (PER_NAME_AND_ADDRESS.free, 30), answers
    later = at_once(installation, setup, threads=1)
    assert later == ["held"], "also after a restart"
