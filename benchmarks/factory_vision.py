"""How well the digit reader that ships reads, and how well it keeps silent.

    python -m benchmarks.factory_vision

Prints one JSON object. `vision_accuracy` is the share read right of the handwritten digits that were held out from training
(each as a PNG; `unknown` counts as wrong); `vision_reject` the share of pictures without a digit that are called `unknown`.
`drawn` and `typed` are digits from other pens and another typeface than it was trained on, photographed; `false` is how often
a picture without a digit is read as one, by kind. Nothing here is shared with `training/digits`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from hybridrt.local.factory import digits
from hybridrt.local.net import Net

SEED = 77
# The third that `train_test_split(test_size=1/3, random_state=42)` holds out of the UCI digits (CC BY 4.0).
HELD_OUT = Path(__file__).with_name("digits_held_out.npz")
Random = np.random.Generator
Arc = tuple[float, float, float, float, float, float]
Line = tuple[float, float, float, float]

# Digits from arcs (centre, radii, from and to in degrees, clockwise from the right) and lines, in a unit square.
_SHAPES: dict[int, list[list[Arc | Line]]] = {
    0: [[(0.5, 0.5, 0.34, 0.5, 0, 360)], [(0.5, 0.5, 0.42, 0.5, -80, 290)]],
    1: [[(0.5, 0, 0.5, 1), (0.28, 0.24, 0.5, 0)], [(0.5, 0, 0.5, 1)], [(0.5, 0, 0.5, 1), (0.3, 0.2, 0.5, 0), (0.3, 1, 0.7, 1)]],
    2: [[(0.5, 0.28, 0.35, 0.28, 180, 385), (0.82, 0.4, 0.12, 1), (0.12, 1, 0.9, 1)]],
    3: [[(0.45, 0.25, 0.33, 0.25, 205, 450), (0.45, 0.74, 0.38, 0.26, 270, 510)]],
    4: [
        [(0.55, 0, 0.1, 0.62), (0.1, 0.62, 0.95, 0.62), (0.7, 0.3, 0.7, 1)],
        [(0.15, 0, 0.12, 0.5), (0.12, 0.5, 0.85, 0.5), (0.8, 0, 0.8, 1)],
    ],
    5: [[(0.82, 0, 0.25, 0), (0.25, 0, 0.22, 0.45), (0.46, 0.68, 0.37, 0.32, 228, 505)]],
    6: [[(0.78, 0.72, 0.6, 0.72, 180, 262), (0.5, 0.72, 0.33, 0.28, 0, 360)]],
    7: [[(0.1, 0, 0.9, 0), (0.9, 0, 0.42, 1)], [(0.1, 0, 0.9, 0), (0.9, 0, 0.42, 1), (0.35, 0.52, 0.85, 0.48)]],
    8: [[(0.5, 0.24, 0.28, 0.24, 0, 360), (0.5, 0.74, 0.36, 0.26, 0, 360)]],
    9: [[(0.5, 0.28, 0.32, 0.28, 0, 360), (0.82, 0.28, 0.74, 1)], [(0.5, 0.28, 0.32, 0.28, 0, 360), (0.3, 0.28, 0.52, 0.7, 0, 75)]],
}
# Without what is written like a digit: O, I, l, | and the like.
_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYabcdefhkmnprtuvwxy"


def drawn(r: Random, digit: int, side: int) -> Image.Image:
    """Draw a digit with a broad nib whose width changes with its direction, some with the grain of chalk."""
    shape = _SHAPES[digit][r.integers(len(_SHAPES[digit]))]
    height = side * r.uniform(0.25, 0.85)
    width = height * r.uniform(0.45, 0.85)
    left, top = r.uniform(0.05, 0.95) * (side - width), r.uniform(0.05, 0.95) * (side - height)
    nib, flat, hold = height * r.uniform(0.02, 0.075), r.uniform(0.4, 1), r.uniform(0, math.pi)
    lean, turn = r.normal(0, 0.12), math.radians(r.normal(0, 5))
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    for part in shape:
        slip = r.normal(0, 0.02, 4)
        if len(part) == 6:
            cx, cy, rx, ry, start, end = part
            angles = np.radians(np.linspace(start + r.normal(0, 6), end + r.normal(0, 6), 90))
            xs, ys = cx + slip[0] + rx * np.cos(angles), cy + slip[1] + ry * (1 + slip[2]) * np.sin(angles)
        else:
            xs, ys = np.linspace(part[0] + slip[0], part[2] + slip[1], 90), np.linspace(part[1] + slip[2], part[3] + slip[3], 90)
        xs = xs + lean * (0.5 - ys)
        px, py = (xs - 0.5) * width, (ys - 0.5) * height
        qx = left + width / 2 + px * math.cos(turn) - py * math.sin(turn)
        qy = top + height / 2 + px * math.sin(turn) + py * math.cos(turn)
        way = np.arctan2(np.gradient(qy), np.gradient(qx))
        broad = np.maximum(nib * (flat + (1 - flat) * np.abs(np.sin(way - hold))), 0.7)
        for x, y, w in zip(qx, qy, broad, strict=True):
            draw.ellipse((x - w, y - w, x + w, y + w), fill=255)
    if r.random() < 0.25:
        grain = np.asarray(mask) * (r.random((side, side)) > 0.25)
        mask = Image.fromarray(grain.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    return mask


def typed(r: Random, text: str, side: int) -> Image.Image:
    """Set text in the typeface that comes with Pillow, which the reader has not seen."""
    font = ImageFont.load_default(side * r.uniform(0.3, 0.8) / max(1, 0.55 * len(text)))
    bold = int(r.choice([0, 0, 1, 2]) * side / 100)
    left, top, right, bottom = font.getbbox(text, stroke_width=bold)
    mask = Image.new("L", (side, side))
    at = r.uniform(0.05, 0.95) * (side - right + left) - left, r.uniform(0.05, 0.95) * (side - bottom + top) - top
    ImageDraw.Draw(mask).text(at, text, 255, font, stroke_width=bold)
    return mask.rotate(r.normal(0, 4), Image.Resampling.BILINEAR)


def photograph(r: Random, mask: Image.Image) -> bytes:
    """Take a picture of a mask in two colours: light from one side, a vignette, grain, a little out of focus; as PNG or JPEG."""
    ink = np.asarray(mask, np.float32)[..., None] / 255
    while True:
        ground, colour = r.integers(0, 256, 3), r.integers(0, 256, 3)
        if abs(float((ground - colour) @ np.array([0.3, 0.59, 0.11]))) > 60:
            break
    side = ink.shape[0]
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    light = 1 + r.uniform(-0.25, 0.25) * x + r.uniform(-0.25, 0.25) * y - r.uniform(0, 0.2) * (x**2 + y**2)
    picture = (ground * (1 - ink) + colour * ink) * light[..., None] + r.normal(0, r.uniform(0, 9), (side, side, 1))
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(r.uniform(0, side / 120)))
    buffer = BytesIO()
    image.save(buffer, *(("PNG",) if r.random() < 0.6 else ("JPEG",)))
    return buffer.getvalue()


def _icon(r: Random, side: int) -> Image.Image:
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    s, at = side * r.uniform(0.4, 0.8), side * r.uniform(0.05, 0.2)

    def points(*pairs: tuple[float, float]) -> list[tuple[float, float]]:
        return [(at + s * x, at + s * y) for x, y in pairs]

    kind = r.integers(6)
    if kind == 0:  # a house
        draw.polygon(points((0, 0.5), (0.5, 0), (1, 0.5), (0.85, 0.5), (0.85, 1), (0.15, 1), (0.15, 0.5)), fill=255)
    elif kind == 1:  # a heart
        draw.ellipse(points((0, 0), (0.52, 0.52)), fill=255)
        draw.ellipse(points((0.48, 0), (1, 0.52)), fill=255)
        draw.polygon(points((0.04, 0.38), (0.96, 0.38), (0.5, 1)), fill=255)
    elif kind == 2:  # an arrow
        draw.polygon(points((0, 0.35), (0.6, 0.35), (0.6, 0.1), (1, 0.5), (0.6, 0.9), (0.6, 0.65), (0, 0.65)), fill=255)
    elif kind == 3:  # a tick
        draw.line(points((0, 0.5), (0.35, 0.85), (1, 0.1)), fill=255, width=int(s * r.uniform(0.06, 0.15)), joint="curve")
    elif kind == 4:  # a magnifying glass
        draw.ellipse(points((0, 0), (0.65, 0.65)), outline=255, width=int(s * 0.09))
        draw.line(points((0.55, 0.55), (1, 1)), fill=255, width=int(s * 0.12))
    else:  # a cup
        draw.polygon(points((0, 0.2), (0.7, 0.2), (0.6, 0.95), (0.1, 0.95)), fill=255)
        draw.arc(points((0.5, 0.3), (1, 0.7)), -100, 100, fill=255, width=int(s * 0.08))
    return mask


def _portrait(r: Random, side: int) -> Image.Image:
    canvas = Image.new("L", (side, side), int(r.integers(40, 220)))
    draw = ImageDraw.Draw(canvas)
    skin, hair, c = int(r.integers(90, 230)), int(r.integers(0, 90)), side / 2
    w, h = side * r.uniform(0.18, 0.28), side * r.uniform(0.26, 0.36)
    draw.rectangle((c - w * 1.8, c + h * 0.9, c + w * 1.8, side), fill=int(r.integers(0, 255)))
    draw.ellipse((c - w * 1.25, c - h * 1.3, c + w * 1.25, c + h * 0.7), fill=hair)
    draw.ellipse((c - w, c - h, c + w, c + h), fill=skin)
    for dx in (-0.4, 0.4):
        draw.ellipse((c + (dx - 0.15) * w, c - 0.25 * h, c + (dx + 0.15) * w, c - 0.08 * h), fill=30)
        draw.line((c + (dx - 0.22) * w, c - 0.4 * h, c + (dx + 0.22) * w, c - 0.42 * h), fill=hair, width=max(1, side // 50))
    draw.polygon([(c, c - 0.05 * h), (c - 0.15 * w, c + 0.25 * h), (c + 0.15 * w, c + 0.25 * h)], fill=int(skin * 0.8))
    draw.arc((c - 0.4 * w, c + 0.3 * h, c + 0.4 * w, c + 0.65 * h), 10, 170, fill=int(skin * 0.5), width=max(1, side // 40))
    return canvas.filter(ImageFilter.GaussianBlur(side / 60))


def _landscape(r: Random, side: int) -> Image.Image:
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    canvas = 200 - 90 * y + 0 * x
    for depth in range(3):
        ridge = 0.4 + 0.17 * depth + sum(r.normal(0, 0.06 / k) * np.sin(2 * math.pi * k * x + r.uniform(0, 6)) for k in range(1, 9))
        canvas = np.where(y > ridge, 140 - 45 * depth + r.normal(0, 6, (side, side)), canvas)
    sun = (x - r.uniform(0.1, 0.9)) ** 2 + (y - 0.15) ** 2 < r.uniform(0.03, 0.09) ** 2
    return Image.fromarray(np.clip(np.where(sun, 255, canvas), 0, 255).astype(np.uint8))


def _noise(r: Random, side: int) -> Image.Image:
    cells = int(r.integers(4, side))
    return Image.fromarray(r.integers(0, 256, (cells, cells)).astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)


def _blank(r: Random, side: int) -> Image.Image:
    return Image.fromarray(np.clip(np.linspace(0, r.uniform(0, 255), side)[None] + np.zeros((side, 1)), 0, 255).astype(np.uint8))


def _letter(r: Random, side: int) -> Image.Image:
    return typed(r, _LETTERS[r.integers(len(_LETTERS))], side)


def _word(r: Random, side: int) -> Image.Image:
    return typed(r, "".join(_LETTERS[k] for k in r.integers(0, len(_LETTERS), int(r.integers(2, 7)))), side)


def _number(r: Random, side: int) -> Image.Image:
    return typed(r, str(r.integers(10, 10_000)), side)


def _sign(r: Random, side: int) -> Image.Image:
    return typed(r, "#%&@?!+=*$<>"[r.integers(12)], side)


REJECTS: dict[str, Callable[[Random, int], Image.Image]] = {
    "letter": _letter,
    "word": _word,
    "number": _number,
    "sign": _sign,
    "icon": _icon,
    "portrait": _portrait,
    "landscape": _landscape,
    "noise": _noise,
    "blank": _blank,
}


def held_out_png() -> Iterator[tuple[bytes, str]]:
    """Yield the held-out third of the data set as small PNG files, every other one dark on light."""
    with np.load(HELD_OUT) as kept:
        for number, (pixels, label) in enumerate(zip(kept["pixels"], kept["labels"], strict=True)):
            values = (pixels.reshape(8, 8) * 15.9).astype(np.uint8)
            buffer = BytesIO()
            Image.fromarray(values if number % 2 else 255 - values).save(buffer, "PNG")
            yield buffer.getvalue(), str(label)


def accuracy(net: Net, cases: list[tuple[bytes, str]]) -> float:
    """Return the share read right; `unknown` is not right."""
    said = net.classify([picture for picture, _ in cases])
    return sum(one.label == label for one, (_, label) in zip(said, cases, strict=True)) / len(cases)


def figures(each: int = 400) -> dict[str, Any]:
    """Measure everything, with so many pictures of each kind."""
    net, r = Net.open(digits()), np.random.default_rng(SEED)

    def side() -> int:
        return int(r.integers(48, 640))

    kinds = {
        "drawn": [(photograph(r, drawn(r, k % 10, side())), str(k % 10)) for k in range(each)],
        "typed": [(photograph(r, typed(r, str(k % 10), side())), str(k % 10)) for k in range(each)],
    }
    false: dict[str, float] = {}
    for name, make in REJECTS.items():
        plain = name in ("portrait", "landscape", "noise", "blank")
        pictures = []
        for _ in range(each // 4):
            mask, buffer = make(r, side()), BytesIO()
            mask.save(buffer, "PNG")
            pictures.append(buffer.getvalue() if plain else photograph(r, mask))
        false[name] = 1 - sum(one.label == "unknown" for one in net.classify(pictures)) / len(pictures)
    return {
        "vision_accuracy": round(accuracy(net, list(held_out_png())), 4),
        "vision_reject": round(1 - sum(false.values()) / len(false), 4),
        **{name: round(accuracy(net, cases), 4) for name, cases in kinds.items()},
        "false": {name: round(share, 3) for name, share in false.items()},
        "net_bytes": digits().stat().st_size,
        "each": each,
    }


def main() -> None:
    print(json.dumps(figures()))


if __name__ == "__main__":
    main()
