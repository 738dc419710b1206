"""The digit reader that ships: what it is, what it reads, what it keeps silent on. Its pictures were not drawn for training."""

from __future__ import annotations

import hashlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks import factory_vision as vision
from hybridrt.local.factory import digits
from hybridrt.local.ink import find_ink
from hybridrt.local.manifest import read_manifest
from hybridrt.local.net import Classification, Net


@pytest.fixture(scope="module")
def net() -> Net:
    return Net.open(digits())


def test_it_is_small_free_and_the_one_its_manifest_speaks_of():
    manifest = read_manifest(digits())
    data = digits().read_bytes()
    assert len(data) <= 100_000
    assert manifest.licence == "Apache-2.0"
    assert hashlib.sha256(data).hexdigest() == manifest.sha256
    assert len(manifest.golden) >= 3


def test_its_weights_are_eight_bits(net):
    # A convolution of 32-bit weights would be four times as large as all of the file.
    assert digits().stat().st_size < 2 * 55_000


@pytest.fixture(scope="module")
def third(net) -> list[tuple[Classification, str]]:
    """What it says of the held-out third, and what is right."""
    cases = list(vision.held_out_png())
    return list(zip(net.classify([picture for picture, _ in cases]), [label for _, label in cases], strict=True))


def test_it_reads_the_held_out_third(third):
    assert sum(said.label == label for said, label in third) >= 0.97 * len(third)


def test_it_reads_digits_drawn_with_another_pen_and_typed_in_another_face(net):
    r = np.random.default_rng(8)
    drawn = [(vision.photograph(r, vision.drawn(r, k % 10, 120)), str(k % 10)) for k in range(80)]
    typed = [(vision.photograph(r, vision.typed(r, str(k % 10), 120)), str(k % 10)) for k in range(80)]
    assert vision.accuracy(net, drawn) >= 0.93
    assert vision.accuracy(net, typed) >= 0.90


@pytest.mark.parametrize("kind", vision.REJECTS)
def test_what_is_no_digit_is_unknown(net, kind):
    r = np.random.default_rng(9)
    pictures = []
    for _ in range(30):
        out = BytesIO()
        vision.REJECTS[kind](r, 120).save(out, "PNG")
        pictures.append(out.getvalue())
    read = [one.label for one in net.classify(pictures) if one.label != "unknown"]
    assert len(read) <= 3, read


def test_the_size_the_place_and_the_colours_do_not_matter(net):
    for side in (28, 64, 300, 1500):
        for ink, paper in (((0, 0, 0), (255, 255, 255)), ((255, 255, 255), (0, 0, 0)), ((200, 30, 30), (30, 120, 40))):
            picture = Image.new("RGB", (side * 2, side), paper)
            mask = vision.typed(np.random.default_rng(3), "5", max(side, 64)).resize((side, side), Image.Resampling.BOX)
            picture.paste(ink, (side // 2, 0, side // 2 + side, side), mask)
            out = BytesIO()
            picture.save(out, "PNG")
            assert net.classify([out.getvalue()])[0].label == "5", (side, ink)


def test_the_confidence_is_calibrated_on_the_held_out_third(third):
    sure = np.mean([said.confidence for said, _ in third if said.label != "unknown"])
    right = np.mean([said.label == label for said, label in third if said.label != "unknown"])
    assert abs(float(sure - right)) < 0.04


# --- finding the ink ---


def test_ink_is_centred_and_fills_the_square_wherever_it_was():
    for left, top, thick in ((10, 10, 3), (200, 150, 9), (120, 20, 20)):
        page = Image.new("L", (320, 240), 240)
        ImageDraw.Draw(page).rectangle((left, top, left + 40, top + 80), outline=20, width=thick)
        ink = find_ink(page, 16)
        rows, columns = np.flatnonzero(ink.max(1) > 0.3), np.flatnonzero(ink.max(0) > 0.3)
        assert (rows[0], rows[-1]) == (1, 14)
        assert abs((columns[0] + columns[-1]) / 2 - 7.5) <= 0.5


def test_ink_does_not_depend_on_which_of_the_two_is_light():
    page = vision.typed(np.random.default_rng(4), "3", 120)
    assert np.abs(find_ink(page, 16) - find_ink(Image.eval(page, lambda value: 255 - value), 16)).max() < 0.05


@pytest.mark.parametrize("picture", [Image.new("L", (1, 1)), Image.new("RGB", (500, 3), "red"), Image.new("L", (64, 64), 255)])
def test_an_empty_page_has_no_ink(picture):
    assert not find_ink(picture, 16).any()


def test_a_page_lit_from_one_side_has_the_ink_of_an_even_one():
    page = np.asarray(vision.typed(np.random.default_rng(5), "8", 200), float)
    light = np.linspace(0.55, 1.0, 200)[None]
    even, uneven = 220 - 180 * page / 255, (220 - 180 * page / 255) * light
    inks = [find_ink(Image.fromarray(one.astype(np.uint8)), 16) for one in (even, uneven)]
    assert np.abs(inks[0] - inks[1]).mean() < 0.06
