"""A sound picture that is too large for a scan's decoders is no broken one: it is drawn when somebody looks at it."""

import io
import os

import pytest
from django.test import Client
from PIL import Image

from catalog.entries.decoders import can_be_drawn_on_demand
from catalog.models import Library, Photo
from operations.running import execute, start
from photolala.lib.paths import escape_path

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.promise("S4-064")
def test_a_30_megapixel_png_is_shown_and_drawn_on_demand(alice, tmp_path):
    root = tmp_path / "scans"
    root.mkdir()
    Image.new("RGBA", (6000, 5200), (200, 30, 30, 255)).save(root / "poster.png", compress_level=1)
    Image.new("L", (16, 16)).save(root / "small.png")
    library = Library.objects.create(owner=alice, name="Scans", root=escape_path(os.fsencode(root)))
    operation = start("scan", alice, active_key=library.scan_key, params={"library": str(library.pk)}, enqueue=False)
    assert execute(operation.pk).result["failed"] == 0
    photo = Photo.objects.get(filename="poster.png")
    assert photo.state == Photo.State.READY and photo.is_shown and photo.problem == ""
    assert "Too large to draw" in photo.notes[-1]
    client = Client()
    client.force_login(alice)
    answer = client.get(f"/api/v1/photos/{photo.pk}/thumbnail/")
    assert answer.status_code == 200
    thumbnail = Image.open(io.BytesIO(b"".join(answer.streaming_content)))
    assert thumbnail.size == (256, 222) and thumbnail.getpixel((100, 100))[0] > 180


def test_a_bomb_that_no_decoder_can_hold_stays_broken_with_its_reason(alice, tmp_path):
    root = tmp_path / "bombs"
    root.mkdir()
    Image.new("1", (30000, 30000)).save(root / "bomb.png")
    library = Library.objects.create(owner=alice, name="Bombs", root=escape_path(os.fsencode(root)))
    operation = start("scan", alice, active_key=library.scan_key, params={"library": str(library.pk)}, enqueue=False)
    execute(operation.pk)
    photo = Photo.objects.get()
    assert (photo.state, photo.is_shown, photo.width) == (Photo.State.BROKEN, False, 30000)
    assert "Too large to draw" in photo.problem


def test_only_what_can_be_true_is_left_for_later():
    mib = 1024 * 1024
    assert can_be_drawn_on_demand(120 * mib, 500_000)
    assert not can_be_drawn_on_demand(224 * mib, 262)  # a header that claims a picture
    assert not can_be_drawn_on_demand(900 * mib, 10 * mib)  # more than the web's decoder may hold
    assert not can_be_drawn_on_demand(0, 10 * mib)  # unknown
