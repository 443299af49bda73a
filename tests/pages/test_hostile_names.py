"""Names, captions and reasons that try to be code: every page and every answer shows them as text."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from accounts.models import Device
from catalog.models import Library, Membership, Photo, Snapshot
from operations.models import Operation
from tests.factories import make_photo

from .conftest import Cast, client_of

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;</title></script><!--{{7*7}}${7*7}"
FILE = EVIL.replace("/", "\u2044") + ".jpg"


class Reader(HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.found += [f"{tag} {name}" for name in values if name.startswith("on") or name == "style"]
        if tag == "script" and "src" not in values and values.get("type") != "importmap":
            self.found.append("an inline script")
        if tag in ("img", "script", "iframe", "object", "embed", "base", "form", "a", "video"):
            for name in ("src", "href", "action", "data"):
                if re.match(r"(?i)\s*(x$|javascript:|data:text|//)", values.get(name) or ""):
                    self.found.append(f"{tag} {values[name]}")


@pytest.fixture
def addresses(cast: Cast) -> list[str]:
    library = cast.library
    Library.objects.filter(pk=library.pk).update(name=EVIL[:200], warning=EVIL, scanned_at="2026-01-01T00:00:00Z")
    ids = []
    for state in ("ready", "broken", "damaged", "missing"):
        photo = make_photo(
            library, f"{FILE[:-4]} folder/{state} {FILE}", caption=EVIL, camera_make=EVIL, keywords=[EVIL]
        )
        Photo.objects.filter(pk=photo.pk).update(
            state=state,
            problem=EVIL,
            notes=[EVIL],
            is_shown=state in ("ready", "damaged"),
            has_thumbnail=state == "ready",
        )
        ids.append(photo.pk)
    type(cast.bob).objects.filter(pk=cast.bob.pk).update(username=EVIL[:150], first_name=EVIL[:150])
    Device.objects.create(user=cast.alice, name=EVIL[:100], token=AuthToken.objects.create(cast.alice)[0])
    Snapshot.objects.create(
        library=library, md5="a" * 32, entry_count=1, size_bytes=1, published_at="2026-01-01T00:00:00Z"
    )
    (cast.folder / FILE).mkdir()
    problems = [{"path": FILE, "reason": EVIL}, EVIL, [FILE, EVIL]]
    running, failed = (
        Operation.objects.create(
            owner=cast.alice,
            kind="scan",
            subject=EVIL[:200],
            state=state,
            phase=EVIL[:60],
            unit=EVIL[:20],
            error=EVIL,
            error_detail=EVIL,
            result={"problems": problems, EVIL: 1},
            active_key=library.scan_key,
            worker=EVIL[:200],
        )
        for state in ("running", "failed")
    )
    folder = urlencode({"directory": f"{FILE[:-4]} folder"})
    names = ("library-timeline", "library-folders", "library-problems", "library-about", "library-settings")
    return [
        *(reverse(f"catalog:{name}") for name in ("timeline", "favourites", "libraries", "photo-list", "library-add")),
        *(reverse(f"catalog:{name}", args=[library.pk]) for name in names),
        f"{reverse('catalog:library-folders', args=[library.pk])}?{folder}",
        *(
            f"{reverse('catalog:library-problems', args=[library.pk])}?state={s}"
            for s in ("broken", "damaged", "missing")
        ),
        *(reverse("catalog:photo", args=[pk]) for pk in ids),
        reverse("operations:list"),
        reverse("operations:detail", args=[running.pk]),
        reverse("operations:detail", args=[failed.pk]),
        reverse("accounts:profile"),
        reverse("exports:list"),
        reverse("exports:backups"),
        f"{reverse('catalog:library-add')}?{urlencode({'folder': EVIL})}",
        f"{reverse('catalog:photo-list')}?{urlencode({'q': EVIL, 'cursor': EVIL})}",
        f"{reverse('accounts:profile')}?{urlencode({'next': EVIL})}",
        f"/{urlencode({'a': EVIL})}",
    ]


def assert_harmless(answer: object, address: str) -> None:
    text = answer.content.decode()
    reader = Reader()
    reader.feed(text)
    assert reader.found == [], address
    assert "<script>alert" not in text, address
    assert "<img src=x" not in text, address


def test_pages(cast: Cast, alice: Client, addresses: list[str]) -> None:
    shown = 0
    for address in addresses:
        answer = alice.get(address)
        assert answer.status_code in (200, 400, 404, 422), address
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert_harmless(answer, address)
        shown += "&lt;script&gt;alert(1)" in answer.content.decode()
    assert shown > 15  # it was there to be seen


def test_answers_to_forms(cast: Cast, alice: Client, anonymous: Client, addresses: list[str]) -> None:
    library = cast.library.pk
    for name, form in (
        ("library-save", {"name": EVIL, "time_zone": EVIL, "ratings": EVIL}),
        ("library-member", {"username": EVIL, "role": EVIL}),
        ("library-member-remove", {"username": EVIL + "nobody"}),
        ("library-forget", {"name": EVIL + "not"}),
    ):
        address = reverse(f"catalog:{name}", args=[library])
        assert_harmless(alice.post(address, form, follow=True), address)
    form = {"folder": EVIL, "name": EVIL, "time_zone": EVIL, "ratings": EVIL}
    assert_harmless(alice.post(reverse("catalog:library-add"), form), "add")
    assert_harmless(anonymous.post(reverse("accounts:login"), {"username": EVIL, "password": EVIL, "next": EVIL}), "in")
    assert_harmless(anonymous.get(reverse("accounts:login"), {"next": EVIL}), "in")


def test_the_admin(cast: Cast, addresses: list[str]) -> None:
    type(cast.charlie).objects.filter(pk=cast.charlie.pk).update(is_staff=True, is_superuser=True)
    cast.charlie.refresh_from_db()
    root = client_of(cast.charlie)
    for row in (cast.library, Photo.objects.first(), Operation.objects.first(), cast.bob, Membership.objects.first()):
        app, model = row._meta.app_label, row._meta.model_name
        if model == "membership":
            continue
        for address in (
            reverse(f"admin:{app}_{model}_changelist"),
            f"{reverse(f'admin:{app}_{model}_changelist')}?{urlencode({'q': EVIL})}",
            reverse(f"admin:{app}_{model}_change", args=[row.pk]),
        ):
            answer = root.get(address)
            assert answer.status_code == 200, address
            assert "script-src 'self'" in answer["Content-Security-Policy"]
            assert "<script>alert" not in answer.content.decode(), address
            assert "<img src=x" not in answer.content.decode(), address


def test_the_api_answers_json_that_no_browser_takes_for_a_page(cast: Cast, alice: Client, addresses: list[str]) -> None:
    for path in ("photos/", "libraries/", "operations/", "events/poll", "timeline/buckets/", "auth/devices/", "me/"):
        answer = alice.get(f"/api/v1/{path}")
        assert answer["Content-Type"] == "application/json"
        assert answer["X-Content-Type-Options"] == "nosniff"
        json.loads(answer.content)
    answer = alice.get("/api/v1/photos/", {"media_type": EVIL * 4, EVIL: "1"})
    assert answer["Content-Type"] == "application/problem+json"
    photo = Photo.objects.filter(state="ready").get()
    answer = alice.get(f"/api/v1/photos/{photo.pk}/original/?download=1")
    assert "\n" not in answer["Content-Disposition"]
    assert "<" in answer["Content-Disposition"]
    assert answer["Content-Security-Policy"].startswith("sandbox")
