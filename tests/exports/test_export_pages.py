"""The pages of exports: forms that work without scripts, what is at work, what is finished."""

import io
import re
import zipfile
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.albums import albums, items
from catalog.models import Favourite, Photo
from exports.models import Export, ExportDestination
from exports.reading.rows import photos_of
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_photo


def start(client: Any, cast: Any, **fields: Any) -> Any:
    return client.post("/exports/start/", {"library": str(cast.library.pk), "format": "json", **fields})


def test_a_person_exports_takes_the_file_and_deletes_it(cast: Any, browser: Any) -> None:
    make_photo(cast.library, "a.jpg")
    alice = browser(cast.alice)
    assert reverse("exports:list") == "/exports/"
    assert start(alice, cast, include_media="on").status_code == 302
    page = alice.get("/exports/").content.decode()
    assert "Waiting for a worker" in page
    execute(Export.objects.get().operation_id)
    page = alice.get("/exports/").content.decode()
    export = Export.objects.get()
    assert f'href="/exports/{export.pk}/download/"' in page
    assert "1 original" in page
    response = alice.get(f"/exports/{export.pk}/download/")
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:
        assert len(archive.namelist()) == 3
    assert alice.post(f"/exports/{export.pk}/delete/").status_code == 302
    assert not export.folder.exists()
    assert "is deleted" in alice.get("/exports/").content.decode()


def test_what_cannot_be_is_said_and_the_form_keeps_what_was_sent(cast: Any, browser: Any) -> None:
    alice = browser(cast.alice)
    response = start(alice, cast, format="csv", start_date="2024-05-02", end_date="2024-05-01")
    page = response.content.decode()
    assert response.status_code == 422
    assert "before the first" in page
    assert 'value="2024-05-02"' in page
    assert 'value="csv" checked' in page
    assert start(alice, cast, start_date="tomorrow").status_code == 422
    assert not Export.objects.exists()
    start(alice, cast)
    assert start(alice, cast).status_code == 409


def test_the_page_says_how_many_come_first_and_when_an_export_expires(cast: Any, browser: Any, settings: Any) -> None:
    make_photo(cast.library, "a.jpg")
    alice = browser(cast.alice)
    for more in ({}, {"format": "csv"}, {"include_media": "on"}):
        assert start(alice, cast, **more).status_code == 302
    page = alice.get("/exports/").content.decode()
    assert [words in page for words in ("in line, 1 other first", "in line, 2 others first")] == [True, True]
    assert page.count("Waiting for a worker") == 1
    settings.EXPORT_DAYS = 7
    first = Export.objects.order_by("created_at")[0]
    execute(first.operation_id)
    first.refresh_from_db()
    page = alice.get("/exports/").content.decode()
    assert f"until {first.expires_at:%Y-%m-%d}" in page
    assert "in line, 2 others first" not in page
    Export.objects.filter(pk=first.pk).update(expires_at=first.expires_at - timedelta(days=8))
    page = alice.get("/exports/").content.decode()
    assert "expired" in page
    assert f"/exports/{first.pk}/download/" not in page
    assert alice.get(f"/exports/{first.pk}/download/").status_code == 404


@pytest.mark.promise("S3-U15")
def test_strangers_see_and_do_nothing(cast: Any, browser: Any) -> None:
    alice = browser(cast.alice)
    start(alice, cast)
    alice.post("/destinations/add/", {"folder": "disk", "name": "", "template": "{year}/{month}/"})
    export, destination = Export.objects.get(), ExportDestination.objects.get()
    charlie = browser(cast.charlie)
    assert start(charlie, cast).status_code == 404
    for address in (f"/exports/{export.pk}/download/", f"/destinations/{destination.pk}/"):
        assert charlie.get(address).status_code == 404
    for address in (
        f"/exports/{export.pk}/delete/",
        f"/destinations/{destination.pk}/export/",
        f"/destinations/{destination.pk}/remove/",
        f"/destinations/{destination.pk}/dismiss/",
    ):
        assert charlie.post(address, {"library": str(cast.library.pk)}).status_code == 404
        assert alice.get(address).status_code == 405
    assert "Holidays" not in charlie.get("/exports/").content.decode()
    nobody = browser(None)
    for address in ("/exports/", f"/destinations/{destination.pk}/"):
        assert nobody.get(address).status_code == 302


@pytest.mark.promise("S3-U17")
def test_the_newest_fifty_exports_are_listed_with_what_they_hold(cast: Any, browser: Any) -> None:
    now = timezone.now()
    Export.objects.bulk_create(
        Export(
            user=cast.alice,
            library=cast.library,
            library_name=f"Number {number}.",
            format=("json", "csv")[number % 2],
            start_date=date(2024, 5, 17),
            end_date=date(2024, 6, 1),
            include_media=True,
            photo_count=1000 + number,
            media_count=2000 + number,
            size_bytes=3_000_000 + number * 100_000,
            created_at=now - timedelta(days=number),
            completed_at=now - timedelta(days=number),
        )
        for number in range(51)
    )
    page = browser(cast.alice).get("/exports/").content.decode()
    shown = [int(number) for number in re.findall(r"Number (\d+)\.", page)]
    assert list(dict.fromkeys(shown)) == list(range(50))
    newest = page[page.index("Number 0.") : page.index("Number 1.")]
    created = f"{now:%Y-%m-%d %H:%M}"
    for words in ("2024-05-17 to 2024-06-01", "JSON", "1,000", "2,000 originals", "3.0 MB", created):
        assert words in newest
    assert f"/exports/{Export.objects.get(library_name='Number 0.').pk}/download/" in newest


def test_photos_are_copied_to_a_destination_month_by_month(cast: Any, browser: Any) -> None:
    make_photo(cast.library, "a.jpg")
    alice = browser(cast.alice)
    assert alice.post("/destinations/add/", {"folder": "/etc", "template": "{year}/"}).status_code == 422
    added = alice.post("/destinations/add/", {"folder": "disk", "name": "Disk", "template": "{year}/{month}/"})
    page = alice.get(added["Location"]).content.decode()
    assert "Nothing was exported to it yet" in page
    assert alice.post(f"{added['Location']}export/", {"library": str(cast.library.pk)}).status_code == 302
    assert alice.post(f"{added['Location']}export/", {"library": str(cast.library.pk)}).status_code == 409
    assert alice.post(f"{added['Location']}remove/").status_code == 409
    assert execute(Operation.objects.get().pk).state == State.COMPLETED
    page = alice.get(added["Location"]).content.decode()
    assert "2024-05" in page
    assert "complete" in page
    destination = ExportDestination.objects.get()
    assert alice.post(f"{added['Location']}remove/").status_code == 302
    assert (destination.path / "2024/05/a.jpg").is_file()


def test_damage_of_the_records_is_shown_until_somebody_has_read_it(cast: Any, browser: Any) -> None:
    make_photo(cast.library, "a.jpg")
    alice = browser(cast.alice)
    address = alice.post("/destinations/add/", {"folder": "disk", "name": "", "template": "{year}/"})["Location"]
    destination = ExportDestination.objects.get()
    destination.records_folder.mkdir()
    (destination.records_folder / "export-records.jsonl").write_bytes(b"garbage\nmore\n")
    for _ in range(2):  # before and after an export that repairs the files
        page = alice.get(address).content.decode()
        assert "The records there are damaged" in page
        assert "2 bad lines" in page
        assert "Line 1 of" in page
        alice.post(f"{address}export/", {"library": str(cast.library.pk)})
        execute(Operation.objects.latest("created_at").pk)
    assert "export-records.jsonl.broken-" in page
    assert alice.post(f"{address}dismiss/").status_code == 302
    page = alice.get(address).content.decode()
    assert ("The records there are damaged" in page, "export-records.jsonl.broken-" in page) == (False, True)


def test_a_failed_export_waits_to_be_tried_again_or_given_up(cast: Any, browser: Any) -> None:
    alice = browser(cast.alice)
    start(alice, cast)
    export = Export.objects.get()
    Operation.objects.filter(pk=export.operation_id).update(state="failed", error="The disk was full.")
    page = alice.get("/exports/").content.decode()
    assert "The disk was full." in page
    assert "Try again" in page
    alice.post(f"/exports/{export.pk}/delete/")
    assert "The disk was full." not in alice.get("/exports/").content.decode()


@pytest.mark.parametrize("count", [2, 20])
def test_the_page_costs_the_same_however_long_it_is(
    cast: Any, browser: Any, django_assert_max_num_queries: Any, count: int
) -> None:
    for number in range(count):
        operation = Operation.objects.create(
            owner=cast.alice, kind="export", state="completed" if number % 2 else "failed"
        )
        values = {"completed_at": operation.created_at} if number % 2 else {}
        Export.objects.create(user=cast.alice, library=cast.library, format="json", operation=operation, **values)
        folder = f"/nowhere/{number}"
        ExportDestination.objects.create(owner=cast.alice, name=str(number), folder=folder)
    alice = browser(cast.alice)
    with django_assert_max_num_queries(9):  # session, user, unfinished work, and the page's own five
        assert alice.get("/exports/").status_code == 200


def test_an_export_is_of_chosen_photos_alone(cast: Any, browser: Any) -> None:
    names = ("plain.jpg", "three.jpg", "five.jpg", "a/deep/folder.jpg", "rome.jpg", "mine.jpg", "words.jpg")
    photos = {name: make_photo(cast.library, name, on_disk=False) for name in names}
    for name, stars in (("three.jpg", 3), ("five.jpg", 5)):
        Photo.objects.filter(pk=photos[name].pk).update(rating=stars)
    Favourite.objects.create(user=cast.bob, photo=photos["mine.jpg"], rating=5)
    Photo.objects.filter(pk=photos["words.jpg"].pk).update(caption="At the lake")
    album = albums.create(cast.bob, uuid4(), {"title": "Rome"})
    items.add(cast.bob, album.pk, [items.Target("photo", photos["rome.jpg"].pk)])
    bob = browser(cast.bob)
    page = bob.get("/exports/").content.decode()
    assert f'<option value="{album.pk}">Rome</option>' in page and "3 and more" in page
    for chosen, expected in (
        ({}, set(names)),
        ({"min_rating": "3"}, {"three.jpg", "five.jpg"}),
        ({"favourite": "on"}, {"mine.jpg"}),
        ({"album": str(album.pk)}, {"rome.jpg"}),
        ({"folder": "a"}, {"a/deep/folder.jpg"}),
        ({"q": "lake"}, {"words.jpg"}),
        ({"q": "lake", "min_rating": "1"}, set()),
    ):
        assert start(bob, cast, **chosen).status_code == 302
        export = Export.objects.latest("created_at")
        assert {photo.path for photo in photos_of(export)} == expected, chosen
    foreign = albums.create(cast.charlie, uuid4(), {"title": "Secret"})
    count = Export.objects.count()
    for bad in ({"album": str(foreign.pk)}, {"album": "x"}, {"min_rating": "6"}, {"folder": "a\\x"}):
        answer = start(bob, cast, **bad)
        assert (answer.status_code, Export.objects.count()) == (422, count), bad
        assert "Secret" not in answer.content.decode()
    destination = bob.post("/destinations/add/", {"folder": "disk", "template": "{library}/{year}/{original_name}"})
    page = bob.get(destination["Location"]).content.decode()
    assert "on the server" in page and "/Holidays/2024/" in page and ExportDestination.objects.get().with_companions
