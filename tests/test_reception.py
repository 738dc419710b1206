"""Pictures that come in: what is too large is refused before it costs anything, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Images

from hybridrt.application import Application
from hybridrt.errors import DeadlineError, InvalidRequestError
from hybridrt.image import MAX_IMAGE_BYTES, is_soon_read, read_image
from hybridrt.local.picture import open_picture, plain
from hybridrt.request import Image, Pixels
from hybridrt.router import Router
from hybridrt.testing import MemoryLedger, ScriptedBackend

WAIT_S = 5.0


def two_halves() -> Images.Image:
    """Dark red on the left, light green on the right."""
    picture = Images.new("RGB", (8, 6), (120, 20, 20))
    picture.paste((180, 240, 180), (4, 0, 8, 6))
    return picture


def of_mode(mode: str) -> Images.Image:
    picture = two_halves()
    if mode == "LAB":
        from PIL import ImageCms

        return ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
    if mode == "I;16":
        return Images.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    if mode in ("La", "PA"):
        return picture.convert("LA").convert(mode)
    return picture.convert("RGBA").convert(mode) if mode == "RGBa" else picture.convert(mode)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"]
)
def test_a_pil_image_of_every_mode_is_read_as_it_looks(mode):
    pixels = np.asarray(plain(open_picture(*read_image(of_mode(mode)))), float).mean(2)
    left, right = pixels[:, :4].mean(), pixels[:, 4:].mean()
    assert right - left > 100, (left, right)


def test_whole_numbers_above_a_byte_are_sixteen_bits():
    picture = Images.fromarray(np.repeat([[20 * 257, 220 * 257]], 2, 0).astype(np.int32))
    assert np.asarray(plain(open_picture(*read_image(picture))))[0, :, 0].tolist() == [20, 220]


REFUSED = {
    "a PIL image of nothing": (lambda: Images.new("RGB", (0, 0)), "0 x 0 pixels"),
    "an array of nothing": (lambda: np.zeros((0, 5, 3), np.uint8), "5 x 0 pixels"),
    "an array that is one byte, repeated": (
        lambda: np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (20_000, 20_000), (0, 0)),
        "20000 x 20000 pixels",
    ),
    "an array of one endless row": (lambda: np.zeros((1, 40_000), np.uint8), "40000 x 1 pixels"),
    "a PIL image of too many pixels": (lambda: Images.new("1", (30_000, 2_000)), "30000 x 2000 pixels"),
    "noise that no PNG makes small": (
        lambda: np.random.default_rng(0).integers(0, 255, (2_700, 2_700, 3), dtype=np.uint8),
        f"more than {MAX_IMAGE_BYTES} bytes as PNG",
    ),
    "floats in a range that nobody named": (lambda: Images.new("F", (4, 4), 0.5), "mode `F`"),
    "numbers that are none": (lambda: Images.new("F", (4, 4), float("nan")), "mode `F`"),
    "too many bytes that can change": (lambda: bytearray(MAX_IMAGE_BYTES + 1), "bytes, more than"),
    "a view of too many numbers": (lambda: memoryview(np.zeros(MAX_IMAGE_BYTES // 4, np.float64)), "bytes, more than"),
    "too long a data URL": (lambda: "data:image/png;base64," + "A" * (MAX_IMAGE_BYTES // 3 * 4 + 8), "bytes, more than"),
    "a folder": (lambda: Path(__file__).parent, "cannot be read"),
    "a device": (lambda: "/dev/zero", "cannot be read"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_picture_of_a_size_is_refused_with_the_reason(what):
    make, reason = REFUSED[what]
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        read_image(make())
    assert (caught.value.field, bool(caught.value.hint)) == ("image", True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    said: list[InvalidRequestError] = []

    def read() -> None:
        with pytest.raises(InvalidRequestError) as caught:
            read_image(tmp_path / "pipe")
        said.append(caught.value)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(WAIT_S)
    assert "not a plain file" in str(said[0])


class Slow:
    """A picture that is saved when somebody says so: like one of PIL, which reads its file only then."""

    mode, size = "L", (4, 4)

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.is_saving = threading.Event()

    def save(self, out: BytesIO, **options: object) -> None:
        self.is_saving.set()
        if not self.may_go_on.wait(WAIT_S):
            raise OSError
        Images.new("L", self.size).save(out, **options)


class Broken(Slow):
    def save(self, out: BytesIO, **options: object) -> None:
        raise SyntaxError


def opened() -> Router:
    backend = ScriptedBackend("seen")
    backend.modalities = frozenset({"text", "image"})
    return Router.open(Application(), policies="device-only", backends={"factory": backend}, ledger=MemoryLedger())


async def ask(router: Router, door: str, **options: object) -> None:
    if door == "stream":
        async for _ in router.stream("look", **options):
            pass
    else:
        await getattr(router, door)("look", **options)


DOORS = ["infer", "stream", "decide"]


@pytest.mark.parametrize("door", DOORS)
async def test_the_event_loop_goes_on_while_a_picture_is_read(door):
    picture = Slow()
    async with opened() as router:
        asking = asyncio.ensure_future(ask(router, door, image=picture))
        while not (picture.is_saving.is_set() or asking.done()):
            await asyncio.sleep(0.001)
        picture.may_go_on.set()
        await asking


@pytest.mark.parametrize("door", DOORS)
async def test_the_deadline_covers_the_reading_of_a_picture(door):
    picture = Slow()
    async with opened() as router:
        with pytest.raises(DeadlineError):
            await ask(router, door, image=picture, deadline_s=0.05)
        picture.may_go_on.set()


async def test_a_picture_that_breaks_is_a_wrong_request_and_no_bug():
    async with opened() as router:
        with pytest.raises(InvalidRequestError, match="SyntaxError"):
            await router.infer(image=Broken())


async def test_pixels_reach_a_backend_on_the_device_as_they_were_when_they_were_given():
    array = np.full((4, 4, 3), 200, np.uint8)
    backend = ScriptedBackend("seen")
    backend.modalities = frozenset({"text", "image"})
    async with Router.open(Application(), policies="device-only", backends={"factory": backend}, ledger=MemoryLedger()) as router:
        events = router.stream("look", image=array)
        await anext(events)
        array[:] = 0
        async for _ in events:
            pass
    (picture,) = [part for part in backend.calls[0].messages[0].parts if isinstance(part, Image)]
    assert isinstance(picture, Pixels)
    assert set(picture.raw) == {200}
    assert np.asarray(open_picture(picture.media_type, picture.data)).min() == 200


async def test_every_form_of_a_picture_arrives_as_bytes(tmp_path):
    out = BytesIO()
    two_halves().save(out, "PNG")
    (tmp_path / "a.png").write_bytes(out.getvalue())
    url = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    forms = [tmp_path / "a.png", str(tmp_path / "a.png"), out.getvalue(), bytearray(out.getvalue()), two_halves()]
    assert [is_soon_read(form) for form in [*forms, url]] == [False, False, True, False, False, True]
    for form in [*forms, np.asarray(two_halves()), url]:
        media_type, data = read_image(form)
        assert media_type == "image/png"
        assert np.array_equal(np.asarray(open_picture(media_type, data)), np.asarray(two_halves()))
