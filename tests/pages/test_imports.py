"""The import pages: who may import into what, the chooser, and what became of each file, in words."""

import pytest
from django.urls import reverse

from catalog.models import Import, ImportItem, Library
from operations.models import Operation
from operations.running import execute
from tests.photos import make_jpeg


@pytest.fixture
def card(cast):
    return make_jpeg(cast.folder / "card" / "a.jpg", seed=1, taken="2024:05:17 12:00:00").parent


def run_imports():
    for operation in Operation.objects.filter(kind="import", state="pending"):
        assert execute(operation.pk).state == "completed"


def test_only_libraries_that_one_may_change_are_offered(cast, alice, bob, dora, charlie):
    address = reverse("catalog:imports")
    for browser, is_offered in ((alice, True), (dora, True), (bob, False), (charlie, False)):
        text = browser.get(address).content.decode()
        assert (str(cast.library.pk) in text) is is_offered
        assert ("There is no library to import into" in text) is not is_offered
    Library.objects.update(source="s3")
    assert "There is no library to import into" in alice.get(address).content.decode()


def test_a_folder_is_chosen_and_imported(cast, alice, card):
    address = reverse("catalog:import-folder")
    assert str(card.parent) in alice.get(address).content.decode()
    assert "card" in alice.get(address, {"folder": str(card.parent)}).content.decode()
    said = {"folder": str(card), "library": str(cast.library.pk), "layout": "month"}
    begun = alice.post(address, said)
    wanted = Import.objects.get()
    assert begun.status_code == 302 and begun["Location"] == reverse("catalog:import", args=[wanted.pk])
    assert "at work" in alice.get(begun["Location"]).content.decode()
    run_imports()
    text = alice.get(begun["Location"]).content.decode()
    assert "2024/05/a.jpg" in text and "at work" not in text
    assert "1 photo imported" in alice.get(reverse("catalog:imports")).content.decode()


def test_what_cannot_be_begun_is_said_on_the_page(cast, alice, bob, card):
    address = reverse("catalog:import-folder")
    said = {"folder": str(card), "library": str(cast.library.pk), "layout": "month"}
    for wrong in ({"folder": ""}, {"layout": "odd"}, {"library": "x"}):
        assert alice.post(address, {**said, **wrong}).status_code == 422
    assert "among those that may become" in alice.post(address, {**said, "folder": "/etc"}).content.decode()
    assert "catalogued by a scan" in alice.post(address, {**said, "folder": cast.library.root}).content.decode()
    assert bob.post(address, said).status_code == 404
    assert not Import.objects.exists()


def test_that_people_become_keywords_is_wished_on_the_page(cast, alice, card):
    address = reverse("catalog:import-folder")
    said = {"folder": str(card), "library": str(cast.library.pk), "layout": "month"}
    assert 'name="people_as_keywords" value="1">' in alice.get(address, {"folder": str(card)}).content.decode()
    wrong = alice.post(address, {**said, "layout": "odd", "people_as_keywords": "1"})
    assert 'name="people_as_keywords" value="1" checked>' in wrong.content.decode()
    for more, is_wished in (({}, False), ({"people_as_keywords": "1"}, True)):
        alice.post(address, {**said, **more})
        assert Import.objects.latest("created_at").people_as_keywords is is_wished


@pytest.mark.promise("S2-U08")
def test_rejected_files_say_why_and_can_be_tried_again(cast, alice, dora, bob):
    wanted = Import.objects.create(library=cast.library, user=cast.alice, kind="upload", listed_at="2024-01-01T00:00Z")
    for number, code in enumerate(["no_space", "unsupported"]):
        ImportItem.objects.create(
            import_run=wanted,
            filename=f"<b>{number}.jpg",
            size_bytes=1,
            mtime_ns=1,
            state="rejected",
            code=code,
            reason=f"Because of {code}.",
            detail="[Errno 28]",
        )
    address = reverse("catalog:import", args=[wanted.pk])
    text = alice.get(address).content.decode()
    assert "Because of no_space." in text and "&lt;b&gt;0.jpg" in text and "Try again" in text
    assert bob.get(address).status_code == dora.get(address).status_code == 404  # neither began it, nor own the library
    retry = reverse("catalog:import-retry", args=[wanted.pk])
    assert dora.post(retry).status_code == 404
    assert alice.post(retry).status_code == 302
    assert sorted(wanted.items.values_list("state", flat=True)) == ["rejected", "waiting"]
    assert alice.post(reverse("catalog:import-stop", args=[wanted.pk])).status_code == 302
    assert set(wanted.items.values_list("state", flat=True)) == {"rejected"}
    assert alice.get(address, {"show": "odd"}).status_code == 400
