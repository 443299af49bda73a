"""Similar pictures: found by an operation, shown as far as they are there and one's to see, kept or trashed, brought back."""

from typing import Any

import pytest
from django.test import Client

from catalog.browsing.similar import similar_groups
from catalog.duplicates import keeping
from catalog.duplicates.similar import start_finding
from catalog.models import Photo, SimilarGroup
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_jpeg, make_library, make_photo

from .conftest import Cast

ADDRESS = "/duplicates/similar/"
API = "/api/v1/photos/similar/"
LOOK = 0x2B5C_93A1_7F0E_64D2
FAR = LOOK ^ 0x0FFF_0000


def find(user: Any) -> Operation:
    done = execute(start_finding(user, enqueue=False).pk)
    assert done is not None and done.state == State.COMPLETED, done and done.error
    return done


def names(user: Any) -> list[list[str]]:
    return [[one["filename"] for one in group.pictures] for group in similar_groups(user)[0]]


@pytest.fixture
def pictures(cast: Cast) -> dict[str, Photo]:
    facts = {
        "a/large.jpg": dict(look=LOOK, width=4000, height=3000),
        "a/small.png": dict(look=LOOK ^ 0b111, width=800, height=600, media_type="image/png", rating=4),
        "b/cut.jpg": dict(look=LOOK ^ 0b111000, width=3900, height=2950),
        "other.jpg": dict(look=FAR, width=4000, height=3000),
        "plain.jpg": dict(look=0),
        "plain too.jpg": dict(look=0),
        "new.jpg": dict(look=None),
    }
    return {path: make_photo(cast.library, path, **columns) for path, columns in facts.items()}


def test_they_are_found_shown_with_their_differences_kept_and_brought_back(cast, alice: Client, pictures) -> None:
    assert "Not looked for yet" in alice.get(ADDRESS).content.decode()
    done = find(cast.alice)
    assert done.result == {"compared": 4, "groups": 1, "pictures": 3}
    page = alice.get(ADDRESS).content.decode()
    assert "3 similar pictures" in page and "size: 800 × 600 to 4,000 × 3,000 pixels; type of file: JPEG, PNG" in page
    assert "other.jpg" not in page and "plain" not in page and " checked" not in page
    large, small, cut = (pictures[path] for path in ("a/large.jpg", "a/small.png", "b/cut.jpg"))
    form = {"group": "1", "shown": [str(one.pk) for one in (large, cut, small)], "keep": [str(large.pk), str(cut.pk)]}
    page = alice.post(f"{ADDRESS}keep/", form, follow=True).content.decode()
    assert "1 picture moved to the trash." in page and "2 similar pictures" in page
    states = dict(Photo.objects.values_list("filename", "state"))
    assert (states["small.png"], states["large.jpg"], states["cut.jpg"]) == ("missing", "ready", "ready")
    large.refresh_from_db()
    assert large.rating == 4  # what the smaller one was given
    page = alice.post("/duplicates/undo/", {"page": "similar"}, follow=True).content.decode()
    assert "1 picture is back." in page and "3 similar pictures" in page
    large.refresh_from_db()
    assert not large.rating and (cast.folder / "holidays/a/small.png").exists()


def test_nothing_goes_without_a_choice_or_if_a_kept_one_is_not_there(cast, alice: Client, pictures) -> None:
    find(cast.alice)
    large, small = pictures["a/large.jpg"], pictures["a/small.png"]
    shown = [str(large.pk), str(small.pk)]
    for keep, words in (([], "Select the pictures"), (shown, "nothing to move")):
        page = alice.post(f"{ADDRESS}keep/", {"group": "1", "shown": shown, "keep": keep}, follow=True).content.decode()
        assert words in page and "Undo" not in page
    form = {"group": "1", "shown": shown, "keep": [str(large.pk)]}
    foreign = alice.post(f"{ADDRESS}keep/", {**form, "shown": [*shown, str(pictures["other.jpg"].pk)]})
    assert foreign.status_code == 400 and "Nothing was changed." in foreign.content.decode()
    (cast.folder / "holidays/a/large.jpg").unlink()
    assert "Nothing was changed." in alice.post(f"{ADDRESS}keep/", form, follow=True).content.decode()
    assert Photo.objects.get(pk=small.pk).state == "ready" and (cast.folder / "holidays/a/small.png").exists()
    assert alice.get(f"{ADDRESS}?after=x").status_code == 400


def test_what_changed_since_it_was_looked_at_does_not_go(cast, alice: Client, pictures) -> None:
    find(cast.alice)
    large, small = pictures["a/large.jpg"], pictures["a/small.png"]
    form = {"group": "1", "shown": [str(large.pk), str(small.pk)], "keep": [str(large.pk)]}
    for since in (
        dict(look=FAR),
        dict(look=None, needs_digest=True),
        dict(read_md5=""),
    ):  # another picture lies there now
        Photo.objects.filter(pk=small.pk).update(**since)
        answer = alice.post(f"{ADDRESS}keep/", form)
        assert answer.status_code == 400 and "Nothing was changed." in answer.content.decode()
        Photo.objects.filter(pk=small.pk).update(look=small.look, needs_digest=False, read_md5=small.read_md5)
    assert (cast.folder / "holidays/a/small.png").exists()
    assert "1 picture moved" in alice.post(f"{ADDRESS}keep/", form, follow=True).content.decode()


def test_no_more_bytes_are_read_in_a_request_however_many_are_kept(cast, pictures, monkeypatch) -> None:
    large, small, cut = (pictures[path] for path in ("a/large.jpg", "a/small.png", "b/cut.jpg"))
    read = []
    monkeypatch.setattr(keeping, "md5_of_descriptor", lambda descriptor: read.append(descriptor) or large.photo_md5)
    monkeypatch.setattr(keeping, "LARGEST_READ_BYTES", large.size_bytes + cut.size_bytes - 1)
    assert keeping.keep_some(cast.alice, [large.pk, cut.pk], [small.pk]).count == 1 == len(read)


def test_comparing_tells_how_far_it_is(cast, pictures, monkeypatch) -> None:
    monkeypatch.setattr("catalog.duplicates.finding.COMPARISONS", 2)  # so few pictures are less than one for each
    assert find(cast.alice).done > 0


def test_a_page_of_groups_of_which_nothing_is_left_leads_on(cast, alice: Client, pictures, monkeypatch) -> None:
    monkeypatch.setattr("catalog.browsing.similar._MOST_ROUNDS", 1)
    monkeypatch.setattr("catalog.browsing.similar._AT_ONCE", 1)
    find(cast.alice)
    SimilarGroup.objects.update(number=2)
    SimilarGroup.objects.create(user=cast.alice, number=1, look=LOOK, photos=[str(pictures["other.jpg"].pk)])
    page = alice.get(ADDRESS).content.decode()
    assert "Seen to so far" in page and "?after=1" in page and "No similar pictures" not in page
    assert "3 similar pictures" in alice.get(f"{ADDRESS}?after=1").content.decode()


def test_each_sees_their_own_and_viewers_can_change_nothing(
    cast, alice: Client, bob, charlie, anonymous, pictures
) -> None:
    his = make_library(cast.charlie, cast.folder / "his", name="Secret attic")
    secret = make_photo(his, "secret.jpg", look=LOOK)
    for user in (cast.alice, cast.bob, cast.charlie):
        find(user)
    assert names(cast.alice) == names(cast.bob) == [["large.jpg", "cut.jpg", "small.png"]] and names(cast.charlie) == []
    page = bob.get(ADDRESS).content.decode()
    assert "3 similar pictures" in page and "checkbox" not in page and "Keep" not in page
    keep, gone = pictures["a/large.jpg"].pk, pictures["b/cut.jpg"].pk
    form = {"group": "1", "shown": [str(keep), str(gone)], "keep": [str(keep)]}
    assert "Nothing was changed." in bob.post(f"{ADDRESS}keep/", form, follow=True).content.decode()
    assert charlie.post(f"{ADDRESS}keep/", form).status_code == 400
    assert anonymous.get(ADDRESS).status_code == 302 and anonymous.get(API).status_code == 401
    SimilarGroup.objects.filter(user=cast.alice).update(photos=[str(secret.pk), str(keep), str(gone)])
    assert names(cast.alice) == [["large.jpg", "cut.jpg"]]  # a group is never believed: what it names is asked for anew


def test_what_changed_since_or_went_is_shown_no_more(cast, pictures) -> None:
    find(cast.alice)
    Photo.objects.filter(pk=pictures["b/cut.jpg"].pk).update(look=FAR)
    assert names(cast.alice) == [["large.jpg", "small.png"]]
    Photo.objects.filter(pk=pictures["a/small.png"].pk).update(state="missing", is_shown=False)
    assert names(cast.alice) == []
    Photo.objects.filter(pk=pictures["a/small.png"].pk).update(state="ready", is_shown=True, read_md5="")
    assert names(cast.alice) == []  # only told


def test_equal_files_pairs_and_other_proportions_are_no_similar_pictures(cast, alice: Client) -> None:
    data = make_jpeg(seed=1)
    for path in ("equal.jpg", "copy/equal.jpg"):
        make_photo(cast.library, path, data=data, look=LOOK, width=400, height=300)
    make_photo(cast.library, "wide.jpg", look=LOOK, width=400, height=200)
    for path, kind in (("IMG_1.CR2", "image/x-canon-cr2"), ("IMG_1.JPG", "image/jpeg")):
        make_photo(cast.library, path, look=FAR, media_type=kind, width=600, height=400)
    find(cast.alice)
    assert names(cast.alice) == []
    make_photo(cast.library, "IMG_1 edited.jpg", look=FAR ^ 1, width=600, height=400)
    find(cast.alice)
    assert sorted(names(cast.alice)[0]) == ["IMG_1 edited.jpg", "IMG_1.JPG"]
    assert "A pair with IMG_1.CR2" in alice.get(ADDRESS).content.decode()


def test_the_api_tells_the_groups_in_pages(cast, alice: Client, charlie: Client) -> None:
    for number in range(3):
        for copy in "ab":
            make_photo(cast.library, f"{copy}{number}.jpg", look=LOOK ^ (0x1FF << 10 * number))
    find(cast.alice)
    first = alice.get(f"{API}?limit=2").json()
    rest = alice.get(first["next"]).json()
    assert [len(page["results"]) for page in (first, rest)] == [2, 1] and rest["next"] is None
    photo = first["results"][0]["photos"][0]
    assert photo["can_change"] is True and photo["pair"] == "" and first["results"][0]["differences"] == []
    assert charlie.get(API).json()["results"] == []
    assert alice.get(f"{API}?cursor=x").status_code == 400
    started = alice.post(API, {}, content_type="application/json")
    assert started.status_code == 202 and started.json()["kind"] == "similar"
    assert alice.post(API, {}, content_type="application/json").status_code == 409
    assert "being compared" in alice.get(ADDRESS).content.decode()
