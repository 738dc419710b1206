"""Pictures: every form and mode is read upright, in plain colours; what is hostile or damaged is refused before it costs anything."""

from __future__ import annotations

import pickle
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from hybridrt.errors import PictureError
from hybridrt.image import MAX_IMAGE_BYTES, MAX_PIXELS, MAX_RAW_BYTES, read_image
from hybridrt.local.manifest import PictureForm, Tensor
from hybridrt.local.picture import open_picture, plain, prepare, prepare_pixels
from hybridrt.request import Pixels, read_picture
from tests.local.nets import png


def encoded(image: Image.Image, form: str = "PNG", **options) -> bytes:
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def opened(data: bytes, **options) -> Image.Image:
    return open_picture(*read_image(data), **options)


# A dark left half and a light right half, in every mode that PNG, GIF, JPEG or WebP can hold.
def half(mode: str) -> Image.Image:
    return Image.fromarray(np.repeat([[20] * 4 + [220] * 4], 6, 0).astype(np.uint8)).convert(mode)


def sixteen_bits() -> bytes:
    values = np.repeat([[20 * 257] * 4 + [220 * 257] * 4], 6, 0).astype(np.uint16)
    return encoded(Image.fromarray(values))


MODES = {
    "L": lambda: encoded(half("L")),
    "RGB": lambda: encoded(half("RGB")),
    "RGBA": lambda: encoded(half("RGBA")),
    "LA": lambda: encoded(half("LA")),
    "P": lambda: encoded(half("P")),
    "one bit": lambda: encoded(half("1")),
    "sixteen bits": sixteen_bits,
    "JPEG": lambda: encoded(half("L").resize((64, 48), Image.Resampling.NEAREST), "JPEG", quality=95),
    "CMYK JPEG": lambda: encoded(half("RGB").resize((64, 48), Image.Resampling.NEAREST).convert("CMYK"), "JPEG", quality=95),
    "GIF": lambda: encoded(half("L"), "GIF"),
    "animated GIF": lambda: encoded(half("L"), "GIF", save_all=True, append_images=[Image.new("L", (8, 6), 0)] * 3),
    "WebP": lambda: encoded(half("RGB"), "WEBP", lossless=True),
    "lossy WebP": lambda: encoded(half("RGB").resize((64, 48), Image.Resampling.NEAREST), "WEBP", quality=95),
    "animated WebP": lambda: encoded(half("RGB"), "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 6))] * 2, lossless=True),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_dark_on_the_left_and_light_on_the_right(mode):
    pixels = np.asarray(plain(opened(MODES[mode]())), float)
    middle = pixels.shape[1] // 2
    assert pixels.ndim == 3
    assert pixels[:, : middle - 1].mean() < 60
    assert pixels[:, middle + 1 :].mean() > 195


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(orientation):
    upright = Image.new("L", (40, 24), 0)
    upright.paste(255, (0, 0, 20, 12))  # light in the top left quarter
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(turns[orientation])) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.asarray(plain(opened(encoded(stored, "JPEG", exif=exif, quality=95))), float)[..., 0]
    assert pixels.shape == (24, 40)
    assert pixels[2:10, 2:18].mean() > 230
    assert max(pixels[14:, :].mean(), pixels[:, 22:].mean()) < 25


def test_what_is_transparent_shows_the_background_and_for_ink_whatever_the_drawing_is_not():
    stroke = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
    stroke.paste((255, 255, 255, 255), (4, 1, 5, 8))
    picture = opened(encoded(stroke))
    assert np.asarray(plain(picture)).min() == 255
    drawn = np.asarray(plain(picture, None))
    assert drawn[0, 0, 0] == 0
    assert drawn[4, 4, 0] == 255


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size, with hardly any data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def webp_bomb() -> bytes:
    body = bytes([0x10, 0, 0, 0]) + (16382).to_bytes(3, "little") + (16382).to_bytes(3, "little")
    chunk = b"VP8X" + struct.pack("<I", len(body)) + body + b"VP8 " + struct.pack("<I", 10) + bytes(10)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def gif_bomb() -> bytes:
    return b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x00\x00\x00" + b"\x2c" + bytes(20)


BOMBS = {
    "PNG": bomb(20_000, 20_000),
    "PNG of 2 GP": bomb(65_000, 32_000),
    "a strip": bomb(1_000_000, 1),
    "WebP": webp_bomb(),
    "GIF": gif_bomb(),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_decompression_bomb_is_refused_with_its_numbers_before_it_is_decoded(kind):
    import tracemalloc

    tracemalloc.start()
    try:
        with pytest.raises(PictureError) as caught:
            opened(BOMBS[kind])
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.pixels is not None
    assert caught.value.most_pixels == MAX_PIXELS
    assert caught.value.code == "picture"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_cut_anywhere_is_read_or_refused_and_nothing_else(form):
    whole = encoded(half("RGB").resize((64, 48)), form)
    for cut in range(12, len(whole) - 1, max(1, len(whole) // 40)):
        try:
            plain(opened(whole[:cut]))
        except PictureError as error:
            assert error.hint


def test_a_damaged_picture_never_raises_anything_untyped():
    r = np.random.default_rng(1)
    wholes = [encoded(half("RGB").resize((64, 48)), form) for form in ("PNG", "JPEG", "GIF", "WEBP")]
    for number in range(400):
        data = bytearray(wholes[number % 4])
        for at in r.integers(12, len(data), 4):
            data[at] = r.integers(256)
        try:
            plain(opened(bytes(data)))
        except PictureError:
            pass


# --- the steps of a manifest ---


def made(data: bytes, form: PictureForm, **tensor) -> np.ndarray:
    return prepare(*read_image(data), form, Tensor("x", (None, 3, 2, 2), **tensor))


def test_colours_scale_mean_and_std_come_out_as_said():
    data = png((255, 51, 0))
    assert made(data, PictureForm(resize=(2, 2)))[:, 0, 0] == pytest.approx([1, 0.2, 0])
    assert made(data, PictureForm(resize=(2, 2), color="bgr"))[:, 0, 0] == pytest.approx([0, 0.2, 1])
    assert made(data, PictureForm(resize=(2, 2), invert=True))[:, 0, 0] == pytest.approx([0, 0.8, 1])
    scaled = PictureForm(resize=(2, 2), mean=(0.5, 0.2, 0.25), std=(0.5, 0.1, 0.25))
    assert made(data, scaled)[:, 0, 0] == pytest.approx([1, 0, -1], abs=1e-6)
    assert made(data, PictureForm(resize=(2, 2)), layout="NHWC").shape == (2, 2, 3)
    assert made(data, PictureForm(resize=(2, 2)), dtype="uint8")[:, 1, 1].tolist() == [255, 51, 0]
    assert made(data, PictureForm(resize=(2, 2), color="grey")).shape == (1, 2, 2)


def test_the_shorter_side_and_the_middle_are_kept():
    wide = Image.new("RGB", (40, 10), "red")
    wide.paste("blue", (15, 0, 25, 10))
    cut = made(encoded(wide), PictureForm(shorter=10, crop=(10, 10)))
    assert cut.shape == (3, 10, 10)
    assert cut[2].min() == 1
    with pytest.raises(PictureError, match="more than"):
        made(encoded(Image.new("L", (20_000, 2))), PictureForm(shorter=10, crop=(10, 10)))


# --- pixels that need not be decoded ---

PIXELS = {
    "grey": lambda r: r.integers(0, 256, (9, 14), dtype=np.uint8),
    "grey with its axis": lambda r: r.integers(0, 256, (9, 14, 1), dtype=np.uint8),
    "colour": lambda r: r.integers(0, 256, (9, 14, 3), dtype=np.uint8),
    "see-through": lambda r: r.integers(0, 256, (9, 14, 4), dtype=np.uint8),
    "upside down, which numpy says with strides": lambda r: r.integers(0, 256, (9, 14, 3), dtype=np.uint8)[::-1, ::-1],
    "of PIL": lambda r: Image.fromarray(r.integers(0, 256, (9, 14, 3), dtype=np.uint8)),
    "of PIL, see-through": lambda r: Image.fromarray(r.integers(0, 256, (9, 14, 4), dtype=np.uint8)),
}
FORMS = {
    "scaled": PictureForm(resize=(2, 2)),
    "cut out": PictureForm(shorter=4, crop=(2, 2), color="bgr", invert=True),
    "grey": PictureForm(resize=(2, 2), color="grey", background=(9, 90, 200)),
    "ink": PictureForm(ink=16),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", PIXELS)
def test_pixels_give_a_net_the_same_input_as_the_same_picture_as_png(kind, form):
    image = PIXELS[kind](np.random.default_rng(7))
    pixels, tensor = read_picture(image), Tensor("x", (None, 3, 2, 2))
    assert isinstance(pixels, Pixels)
    made_of_pixels = prepare_pixels(pixels, FORMS[form], tensor)
    assert np.array_equal(made_of_pixels, prepare(*read_image(image), FORMS[form], tensor))
    assert pixels.media_type == "image/png"
    assert np.array_equal(made_of_pixels, prepare(pixels.media_type, pixels.data, FORMS[form], tensor))


def opened_file() -> Image.Image:
    return Image.open(BytesIO(encoded(Image.new("RGB", (4, 4), "red"))))


def with_info(**info: object) -> Image.Image:
    picture = Image.new("RGB", (4, 4), "red")
    picture.info.update(info)
    return picture


@pytest.mark.parametrize(
    "image",
    [
        Image.new("P", (4, 4)),
        Image.new("I;16", (4, 4)),
        opened_file(),
        with_info(transparency=(255, 0, 0)),
        with_info(exif=b"Exif\0\0"),
        np.zeros((2_400, 2_400, 3), np.uint8),
    ],
    ids=["a palette", "sixteen bits", "a file not read yet", "a colour to see through", "a way to turn it", "more than noise may have"],
)
def test_what_is_more_than_its_bytes_of_colour_is_encoded_at_once(image):
    read = read_picture(image)
    assert not isinstance(read, Pixels)
    assert (read.media_type, read.data) == read_image(image)


def test_noise_that_may_be_kept_as_pixels_may_leave_as_png():
    wide = np.frombuffer(np.random.default_rng(3).bytes(MAX_RAW_BYTES // 9000 * 9000), np.uint8).reshape(-1, 3000, 3)
    assert isinstance(read_picture(wide), Pixels)
    assert MAX_RAW_BYTES * 0.9 < len(read_picture(wide).data) <= MAX_IMAGE_BYTES


def test_pixels_show_nothing_of_themselves():
    pixels = read_picture(np.full((3, 3), 77, np.uint8))
    assert "77" not in repr(pixels) + str(pixels)
    with pytest.raises(TypeError, match="content"):
        pickle.dumps(pixels)
