"""The look of a picture: kept by what people do to pictures, and not shared by different ones; plain areas have none."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageOps

from catalog.media.look import MOST_BITS, NO_LOOK, look_of
from tests.catalog.media.test_digest import digest
from tests.corpus import CORPUS, needs_corpus

PHOTOS = (
    "commons-imaging/2007/06/_DSC6099.jpg",
    "commons-imaging/2007/12 Christmas/IMG_3704.JPG",
    "commons-imaging/2022/05/20220514_102409.jpg",
    "libavif/2022/08 Paris/paris_exif_xmp_icc.jpg",
    "pigallery2/2015/2015-06 USA road trip/06-12 San Francisco/IMG_5910.jpg",
    "pigallery2/2023/time zones/sydney_opera_house.jpg",
    "pillow/formats/hopper.jpg",
)


def thumbnail(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((256, 256), Image.Resampling.LANCZOS)
    return small


def compressed(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def cut(picture: Image.Image, share: float) -> Image.Image:
    width, height = picture.size
    left, top = round(width * share / 2), round(height * share / 2)
    return picture.crop((left, top, width - left, height - top))


CHANGES = {
    "half as large": lambda one: one.resize((one.width // 2, one.height // 2), Image.Resampling.LANCZOS),
    "compressed": lambda one: compressed(one, 30),
    "a little cut": lambda one: cut(one, 0.02),
    "brighter": lambda one: ImageEnhance.Brightness(one).enhance(1.2),
    "darker": lambda one: ImageEnhance.Brightness(one).enhance(0.8),
    "in grey": lambda one: one.convert("L").convert("RGB"),
}


@needs_corpus
def test_a_changed_picture_keeps_its_look_and_others_have_another() -> None:
    pictures = []
    for name in PHOTOS:
        with Image.open(CORPUS / "library" / name) as file:
            pictures.append(thumbnail(ImageOps.exif_transpose(file).convert("RGB").resize((1024, 768))))
    looks = [look_of(picture) for picture in pictures]
    for name, look, picture in zip(PHOTOS, looks, pictures, strict=True):
        for change, made in CHANGES.items():
            apart = (look_of(thumbnail(made(picture))) ^ look).bit_count()
            assert apart <= MOST_BITS, (name, change, apart)
    for number, look in enumerate(looks):
        assert all((look ^ other).bit_count() > 3 * MOST_BITS for other in looks[:number]), PHOTOS[number]


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (256, 192), "white"),
        Image.linear_gradient("L").convert("RGB"),
        Image.effect_noise((256, 256), 2).convert("RGB"),  # the grain of an evenly lit wall
        Image.linear_gradient("L").resize((31, 31)),
    ],
    ids=["white", "gradient", "grain", "a few pixels"],
)
def test_plain_pictures_have_no_look(picture: Image.Image) -> None:
    assert look_of(picture) == NO_LOOK


@needs_corpus
def test_a_digest_tells_the_look_of_what_it_draws(tmp_path: Path) -> None:
    data = (CORPUS / "library" / PHOTOS[0]).read_bytes()
    whole = digest(tmp_path, data)
    thumb = digest(tmp_path, whole.thumbnail or b"", "thumbnail.jpg")
    assert 0 < whole.look < 2**63
    assert (whole.look ^ thumb.look).bit_count() <= 2  # so that those of before can be told by their thumbnails
    damaged = digest(tmp_path, data[: len(data) * 2 // 3], "damaged.jpg")
    assert damaged.damaged and damaged.look == NO_LOOK
