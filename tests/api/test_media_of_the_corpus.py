"""Whatever can be shown has a thumbnail, a preview and its metadata, also after the whole cache is gone: every format."""

import io
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from PIL import Image

from catalog.cache.prune import prune_cache
from catalog.entries.previews import PREVIEW_EDGE_PX
from catalog.models import Photo
from catalog.scanning.requests import start_scan
from operations.models import State
from operations.running import execute
from tests.corpus import CORPUS, needs_corpus
from tests.factories import make_library, make_user

from .conftest import API, client_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db,
    needs_corpus,
]
FORMATS = {"image/jpeg", "image/png", "image/gif", "image/webp", "image/tiff", "image/bmp", "image/heic", "image/avif"}
FORMATS |= {"image/x-adobe-dng", "video/mp4", "video/quicktime", "video/3gpp", "video/webm", "video/x-matroska"}


@pytest.mark.promise("S4-064")
def test_caches_are_made_again_on_demand(tmp_path: Path, settings: Any) -> None:
    cache.clear()
    settings.PHOTO_ROOTS = [str(tmp_path)]
    alice = make_user("alice")
    shutil.copytree(CORPUS / "library", tmp_path / "photos", symlinks=True, copy_function=shutil.copy2)
    library = make_library(alice, tmp_path / "photos")
    assert execute(start_scan(library, alice).pk).state == State.COMPLETED
    shown = list(Photo.objects.filter(library=library, is_shown=True).order_by("directory", "filename"))
    prune_cache(0)
    client = client_of(alice)
    wrong, served = [], Counter()
    for photo in shown:
        for kind, edge in (("thumbnail", 256), ("preview", PREVIEW_EDGE_PX)):
            response = client.get(f"{API}photos/{photo.pk}/{kind}/")
            if response.status_code != 200:
                wrong.append((photo.path, kind, response.status_code))
                continue
            body = b"".join(response) if response.streaming else response.content
            with Image.open(io.BytesIO(body)) as picture:
                picture.load()
                if max(picture.size) > edge + 1:
                    wrong.append((photo.path, kind, picture.size))
        response = client.get(f"{API}photos/{photo.pk}/metadata/")
        if response.status_code != 200:
            wrong.append((photo.path, "metadata", response.status_code))
        served[photo.media_type] += 1
    assert not wrong, "\n".join(map(str, wrong))
    assert set(served) >= FORMATS, served
