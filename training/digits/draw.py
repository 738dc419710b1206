"""Pictures to learn from: handwritten digits of the data set, digits drawn with strokes and type, and what is no digit.

The pictures of `benchmarks/factory_vision.py` come from other strokes, another typeface and other shapes: it measures what
was not drawn here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Random = np.random.Generator
Strokes = Sequence[Sequence[tuple[float, float]]]

# Each way to write a digit: strokes as points in a unit square, y downwards. `~` strokes are smoothed, `=` ones keep corners.
_WAYS: dict[int, list[list[tuple[str, list[tuple[float, float]]]]]] = {
    0: [
        [("~", [(0.5, 0), (0.12, 0.25), (0.1, 0.7), (0.5, 1), (0.88, 0.7), (0.88, 0.25), (0.5, 0)])],
        [("~", [(0.6, 0.02), (0.2, 0.2), (0.1, 0.6), (0.35, 1), (0.75, 0.85), (0.85, 0.4), (0.55, 0.0), (0.4, 0.08)])],
    ],
    1: [
        [("=", [(0.5, 0), (0.5, 1)])],
        [("=", [(0.22, 0.28), (0.5, 0), (0.5, 1)])],
        [("=", [(0.25, 0.2), (0.5, 0), (0.5, 1)]), ("=", [(0.2, 1), (0.8, 1)])],
        [("=", [(0.1, 0.45), (0.55, 0), (0.55, 1)])],
        # A flag that is nearly level, as in many typefaces: what parts it from a 7 is the upright stem.
        [("=", [(0.12, 0.16), (0.6, 0), (0.6, 1)])],
        [("=", [(0.2, 0.1), (0.55, 0.03), (0.55, 1)])],
    ],
    2: [
        [("~", [(0.1, 0.28), (0.3, 0.03), (0.7, 0.03), (0.85, 0.3), (0.5, 0.62), (0.1, 1)]), ("=", [(0.1, 1), (0.92, 1)])],
        [("~", [(0.12, 0.2), (0.5, 0), (0.85, 0.2), (0.6, 0.6), (0.15, 0.95), (0.2, 0.8), (0.5, 0.9), (0.95, 0.98)])],
        [("~", [(0.15, 0.1), (0.6, 0.0), (0.8, 0.35), (0.4, 0.7), (0.05, 1)]), ("=", [(0.05, 1), (0.9, 0.95)])],
    ],
    3: [
        [
            ("~", [(0.12, 0.15), (0.45, 0), (0.82, 0.2), (0.7, 0.42), (0.42, 0.48)]),
            ("~", [(0.42, 0.48), (0.85, 0.6), (0.85, 0.85), (0.45, 1), (0.1, 0.85)]),
        ],
        [("=", [(0.12, 0), (0.85, 0), (0.45, 0.4)]), ("~", [(0.45, 0.4), (0.88, 0.55), (0.8, 0.9), (0.45, 1), (0.1, 0.88)])],
        [("~", [(0.2, 0.05), (0.8, 0.1), (0.6, 0.42), (0.4, 0.5), (0.8, 0.6), (0.75, 0.95), (0.15, 0.95)])],
    ],
    4: [
        [("=", [(0.6, 0), (0.05, 0.65), (0.95, 0.65)]), ("=", [(0.68, 0.3), (0.68, 1)])],
        [("=", [(0.7, 1), (0.7, 0), (0.05, 0.68), (0.98, 0.68)])],
        [("=", [(0.15, 0), (0.1, 0.52), (0.9, 0.52)]), ("=", [(0.8, 0.02), (0.74, 1)])],
        [("~", [(0.2, 0.0), (0.12, 0.4), (0.4, 0.55), (0.8, 0.45)]), ("=", [(0.82, 0.0), (0.75, 1)])],
    ],
    5: [
        [("=", [(0.85, 0), (0.2, 0), (0.15, 0.42)]), ("~", [(0.15, 0.42), (0.6, 0.36), (0.9, 0.66), (0.6, 0.98), (0.1, 0.9)])],
        [("~", [(0.22, 0.0), (0.18, 0.42), (0.6, 0.4), (0.85, 0.7), (0.5, 1), (0.1, 0.9)]), ("=", [(0.22, 0.02), (0.9, 0.0)])],
        [("~", [(0.9, 0.02), (0.35, 0.03), (0.2, 0.4), (0.7, 0.5), (0.75, 0.85), (0.15, 1)])],
    ],
    6: [
        [("~", [(0.75, 0.02), (0.35, 0.28), (0.12, 0.7), (0.45, 1), (0.86, 0.76), (0.52, 0.5), (0.16, 0.7)])],
        [("~", [(0.5, 0), (0.15, 0.5), (0.2, 0.9), (0.6, 1), (0.8, 0.75), (0.5, 0.58), (0.2, 0.8)])],
        [("~", [(0.3, 0.0), (0.1, 0.6), (0.3, 1), (0.7, 0.95), (0.72, 0.62), (0.3, 0.6), (0.14, 0.8)])],
    ],
    7: [
        [("=", [(0.08, 0), (0.92, 0), (0.4, 1)])],
        [("=", [(0.08, 0.03), (0.92, 0), (0.45, 1)]), ("=", [(0.28, 0.5), (0.85, 0.47)])],
        [("~", [(0.08, 0.15), (0.2, 0.0), (0.5, 0.08), (0.9, 0.0)]), ("~", [(0.9, 0.0), (0.6, 0.5), (0.5, 1)])],
        [("=", [(0.1, 0.2), (0.1, 0), (0.9, 0), (0.5, 1)])],
    ],
    8: [
        [("~", [(0.5, 0.48), (0.15, 0.25), (0.5, 0), (0.85, 0.25), (0.5, 0.48), (0.1, 0.76), (0.5, 1), (0.9, 0.76), (0.5, 0.48)])],
        [("~", [(0.85, 0.1), (0.4, 0), (0.2, 0.25), (0.8, 0.65), (0.6, 1), (0.15, 0.85), (0.4, 0.5), (0.85, 0.1)])],
        [
            ("~", [(0.5, 0), (0.2, 0.2), (0.5, 0.45), (0.8, 0.2), (0.5, 0)]),
            ("~", [(0.5, 0.45), (0.1, 0.75), (0.5, 1), (0.9, 0.75), (0.5, 0.45)]),
        ],
    ],
    9: [
        [("~", [(0.85, 0.28), (0.5, 0), (0.12, 0.28), (0.5, 0.55), (0.85, 0.28)]), ("~", [(0.85, 0.25), (0.82, 0.65), (0.6, 1)])],
        [("~", [(0.8, 0.15), (0.4, 0.0), (0.15, 0.3), (0.5, 0.5), (0.8, 0.2)]), ("=", [(0.8, 0.05), (0.78, 1)])],
        [("~", [(0.82, 0.3), (0.5, 0), (0.15, 0.3), (0.5, 0.52), (0.84, 0.28), (0.8, 0.8), (0.5, 1), (0.15, 0.9)])],
    ],
}
# Letters that are written like digits, which no one can tell apart alone.
_TWINS = frozenset("OoIl|iQDj0123456789")
_LETTERS = [chr(c) for c in range(0x21, 0x7F) if chr(c) not in _TWINS]
_SYMBOLS = list("äßñçøæþΔΘΛΞΠΣΦΨΩαβγδεζηλμξπφψωБГДЖИЛПФЦШЩЫЭЮЯ♠♣♥♦★☆☎☀☂☃☺☻♪♫✓✔✗✂✈←↑→↓↔⇒∀∂∃∈∑∞∫≈≠≤≥■□▲△▶◀◆○●")


def smooth(points: Sequence[tuple[float, float]], steps: int = 10) -> list[tuple[float, float]]:
    """Return a curve through all points (Catmull-Rom)."""
    p = np.array([points[0], *points, points[-1]], float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curve = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return [tuple(row) for row in np.concatenate([*curve, p[-1:]])]


def pen(size: int, strokes: Strokes, width: float, box: tuple[float, float, float, float]) -> Image.Image:
    """Draw strokes of a unit square into a box of a black picture, with a round pen."""
    scale = 2
    mask = Image.new("L", (size * scale, size * scale))
    draw = ImageDraw.Draw(mask)
    left, top, right, bottom = (value * size * scale for value in box)
    radius = max(0.6, width * size * scale / 2)
    for stroke in strokes:
        points = [(left + x * (right - left), top + y * (bottom - top)) for x, y in stroke]
        draw.line(points, fill=255, width=max(1, round(radius * 2)), joint="curve")
        for x, y in points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask.resize((size, size), Image.Resampling.BOX)


def hand_digit(r: Random, digit: int, size: int) -> Image.Image:
    """Write a digit with a pen."""
    way = _WAYS[digit][r.integers(len(_WAYS[digit]))]
    slip, slant = r.uniform(0.01, 0.055), r.normal(0, 0.14)
    strokes = []
    for kind, points in way:
        jittered = [(x + r.normal(0, slip) + slant * (0.5 - y), y + r.normal(0, slip)) for x, y in points]
        strokes.append(smooth(jittered) if kind == "~" else jittered)
    return pen(size, strokes, r.uniform(0.02, 0.13), _box(r, 0.35, 0.85))


def _box(r: Random, least: float, most: float) -> tuple[float, float, float, float]:
    height = r.uniform(least, most)
    width = height * r.uniform(0.28, 0.95)
    left, top = r.uniform(0.04, max(0.05, 0.96 - width)), r.uniform(0.04, max(0.05, 0.96 - height))
    return left, top, left + width, top + height


def type_fonts() -> list[Path]:
    """Return the typefaces to learn from, under free licences: those of matplotlib, and Roboto from the package `font-roboto`."""
    import font_roboto
    import matplotlib as mpl

    folder = Path(mpl.__file__).parent / "mpl-data" / "fonts" / "ttf"
    known = ("DejaVu", "STIXGeneral", "cmb10", "cmr10", "cmss10", "cmtt10")
    return [
        *(path for path in sorted(folder.glob("*.ttf")) if path.name.startswith(known)),
        *sorted((Path(font_roboto.__file__).parent / "files").glob("*.ttf")),
    ]


def typed(r: Random, text: str, size: int, fonts: Sequence[Path]) -> Image.Image | None:
    """Set text in a typeface, thinned or thickened; none where the typeface has no such sign."""
    height = size * r.uniform(0.35, 0.85) / max(1, 0.6 * len(text))
    font = ImageFont.truetype(str(fonts[r.integers(len(fonts))]), max(10, int(height * 1.2)))
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    if right - left < 1 or bottom - top < 1:
        return None
    tight = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(tight).text((1 - left, 1 - top), text, fill=255, font=font)
    if r.random() < 0.4:
        tight = tight.resize((max(1, round(tight.width * r.uniform(0.5, 1.15))), tight.height), Image.Resampling.BICUBIC)
    mask = Image.new("L", (size, size))
    at = r.uniform(0.03, 0.97) * max(1, size - tight.width), r.uniform(0.03, 0.97) * max(1, size - tight.height)
    mask.paste(tight, (int(at[0]), int(at[1])))
    mask = mask.rotate(r.normal(0, 5), Image.Resampling.BICUBIC)
    return _weighted(r, mask)


def _weighted(r: Random, mask: Image.Image) -> Image.Image:
    which = r.integers(4)
    if which == 0:
        return mask.filter(ImageFilter.MaxFilter(3))
    if which == 1 and np.asarray(mask).mean() > 12:
        return mask.filter(ImageFilter.MinFilter(3))
    return mask


def dataset_digit(r: Random, pixels: np.ndarray, size: int) -> Image.Image:
    """Enlarge an 8 x 8 digit of the data set into a picture: as it is, or cut sharp, turned, sheared, thinned or thickened."""
    small = Image.fromarray((pixels.reshape(8, 8) * 15.9).astype(np.uint8))
    if r.random() < 0.25:
        # As a file of the data set comes: the digit fills the picture.
        return small if r.random() < 0.4 else small.resize((size, size), Image.Resampling(int(r.choice([0, 2, 3, 4]))))
    inner = int(size * r.uniform(0.35, 0.85))
    large = small.resize((inner, inner), Image.Resampling.BICUBIC)
    if r.random() < 0.7:
        cut = r.uniform(70, 150)
        large = large.point(lambda value: int(np.clip((value - cut) * 4 + 128, 0, 255)))
    if r.random() < 0.5:
        large = _weighted(r, large)
    mask = Image.new("L", (size, size))
    mask.paste(large, (int(r.uniform(0, size - inner)), int(r.uniform(0, size - inner))))
    angle, shear = r.normal(0, 6), r.normal(0, 0.12)
    mask = mask.rotate(angle, Image.Resampling.BICUBIC)
    return mask.transform(mask.size, Image.Transform.AFFINE, (1, shear, -shear * size / 2, 0, 1, 0), Image.Resampling.BICUBIC)


# --- what is no digit ---


def _scribble(r: Random, size: int, _: Sequence[Path]) -> Image.Image:
    strokes = [smooth([tuple(p) for p in r.uniform(0, 1, (int(r.integers(3, 9)), 2))]) for _ in range(int(r.integers(1, 4)))]
    return pen(size, strokes, r.uniform(0.015, 0.1), _box(r, 0.3, 0.9))


def _sign(r: Random, size: int, fonts: Sequence[Path]) -> Image.Image:
    pool = _SYMBOLS if r.random() < 0.3 else _LETTERS
    return typed(r, pool[r.integers(len(pool))], size, fonts) or _shape(r, size, fonts)


def _several(r: Random, size: int, fonts: Sequence[Path]) -> Image.Image:
    if r.random() < 0.5:
        text = "".join(str(d) for d in r.integers(0, 10, int(r.integers(2, 5))))
    else:
        text = "".join(r.choice(list("abcdefghknoprstuvwxyzABCDEFGHKLMNORSTUVWXY"), int(r.integers(2, 7))))
    return typed(r, text, size, fonts) or _shape(r, size, fonts)


def _two_hands(r: Random, size: int, _: Sequence[Path]) -> Image.Image:
    mask = np.zeros((size, size), np.uint8)
    for side in range(2):
        digit = hand_digit(r, int(r.integers(10)), size)
        box = digit.getbbox() or (0, 0, 1, 1)
        part = digit.crop(box).resize((max(2, int(size * 0.4)), max(2, int(size * r.uniform(0.5, 0.8)))))
        at = int(size * (0.06 + 0.46 * side)), int(size * r.uniform(0.05, 0.15))
        mask[at[1] : at[1] + part.height, at[0] : at[0] + part.width] |= np.asarray(part)
    return Image.fromarray(mask)


def _shape(r: Random, size: int, _: Sequence[Path]) -> Image.Image:
    mask = Image.new("L", (size, size))
    draw = ImageDraw.Draw(mask)
    for _ in range(int(r.choice([1, 1, 1, 2, 3, 5]))):
        box = [value * size for value in _box(r, 0.2, 0.9)]
        fill, width = (255, 0) if r.random() < 0.5 else (None, int(max(2, size * r.uniform(0.02, 0.08))))
        kind = r.integers(6)
        if kind == 0:
            draw.rectangle(box, fill=fill, outline=255, width=width or 1)
        elif kind == 1:
            draw.ellipse(box, fill=255)
        elif kind == 2:
            corners = [tuple(p) for p in r.uniform(0, size, (int(r.integers(3, 8)), 2))]
            draw.polygon(corners, fill=fill, outline=255, width=max(1, width))
        elif kind == 3:
            n, turn = int(r.integers(3, 9)), r.uniform(0, 6)
            reach = [size * 0.4 * (1 if k % 2 else r.uniform(0.35, 0.9)) for k in range(2 * n)]
            draw.polygon(
                [
                    (size / 2 + a * math.cos(turn + k * math.pi / n), size / 2 + a * math.sin(turn + k * math.pi / n))
                    for k, a in enumerate(reach)
                ],
                fill=255,
            )
        elif kind == 4:
            angle, c = r.uniform(-0.9, 0.9), size / 2
            dx, dy = c * 0.8 * math.cos(angle), c * 0.8 * math.sin(angle)
            draw.line((c - dx, c - dy, c + dx, c + dy), fill=255, width=int(size * r.uniform(0.02, 0.1)))
            if r.random() < 0.6:
                draw.line((c - dy, c + dx, c + dy, c - dx), fill=255, width=int(size * r.uniform(0.02, 0.1)))
        else:
            _face(r, draw, box, size)
    return mask


def _face(r: Random, draw: ImageDraw.ImageDraw, box: list[float], size: int) -> None:
    left, top, right, bottom = box
    w, h, line = right - left, bottom - top, int(max(2, size * 0.03))
    is_full = r.random() < 0.4
    draw.ellipse(box, fill=255 if is_full else None, outline=255, width=line)
    ink = 0 if is_full else 255
    for x in (0.3, 0.7):
        e = w * r.uniform(0.04, 0.1)
        draw.ellipse((left + x * w - e, top + 0.38 * h - e, left + x * w + e, top + 0.38 * h + e), fill=ink)
    draw.arc((left + 0.25 * w, top + 0.4 * h, left + 0.75 * w, top + 0.8 * h), 20, 160, fill=ink, width=line)


def _clouds(r: Random, size: int, _: Sequence[Path]) -> Image.Image:
    field = np.zeros((size, size))
    for octave in range(int(r.integers(1, 6))):
        cells = 2 ** (octave + 1) + 1
        part = Image.fromarray(r.normal(0, 1, (cells, cells)).astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
        field += np.asarray(part) * r.uniform(0.3, 0.8) ** octave
    low, high = np.percentile(field, [2, 98])
    field = np.clip((field - low) / (high - low + 1e-9), 0, 1)
    if r.random() < 0.5:
        field = np.clip((field - r.uniform(0.4, 0.8)) * r.uniform(3, 12) + 0.5, 0, 1)
    return Image.fromarray((field * 255).astype(np.uint8))


def _pattern(r: Random, size: int, _: Sequence[Path]) -> Image.Image:
    y, x = np.mgrid[0:size, 0:size] / size
    turn, waves = r.uniform(0, math.pi), r.uniform(1, 14)
    field = np.sin(2 * math.pi * waves * (x * math.cos(turn) + y * math.sin(turn)))
    if r.random() < 0.5:
        field *= np.sin(2 * math.pi * r.uniform(1, 14) * (y * math.cos(turn) - x * math.sin(turn)))
    if r.random() < 0.5:
        field = np.sign(field)
    return Image.fromarray(((field + 1) * 127).astype(np.uint8))


def _noise(r: Random, size: int, _: Sequence[Path]) -> Image.Image:
    cells = int(r.integers(3, size))
    field = r.integers(0, 256, (cells, cells)).astype(np.uint8)
    return Image.fromarray(field).resize((size, size), Image.Resampling(int(r.choice([0, 2, 3]))))


def _pile(r: Random, size: int, fonts: Sequence[Path]) -> Image.Image:
    """Things of many greys on each other, as in a photograph."""
    canvas = np.asarray(_clouds(r, size, fonts), np.float32) * r.uniform(0.2, 1)
    for _ in range(int(r.integers(2, 9))):
        mask = np.asarray(_shape(r, size, fonts).filter(ImageFilter.GaussianBlur(r.uniform(0, 3))), np.float32) / 255
        grain = np.asarray(_clouds(r, size, fonts), np.float32) * r.uniform(0, 0.6)
        canvas = canvas * (1 - mask) + mask * (r.uniform(0, 255) + grain - 30)
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


# How often each stands among what is no digit.
_OTHERS: list[tuple[float, Callable[[Random, int, Sequence[Path]], Image.Image]]] = [
    (0.36, _sign),
    (0.07, _several),
    (0.07, _two_hands),
    (0.10, _scribble),
    (0.14, _shape),
    (0.08, _clouds),
    (0.04, _pattern),
    (0.04, _noise),
    (0.10, _pile),
]


def other(r: Random, size: int, fonts: Sequence[Path]) -> Image.Image:
    """Draw something that is no digit."""
    weights = np.array([weight for weight, _ in _OTHERS])
    return _OTHERS[r.choice(len(_OTHERS), p=weights / weights.sum())][1](r, size, fonts)


def photographed(r: Random, mask: Image.Image) -> Image.Image:
    """Put a mask on paper, in any two colours, and take it with a poor camera."""
    if r.random() < 0.15:
        return mask if r.random() < 0.5 else Image.eval(mask, lambda value: 255 - value)
    ink = np.asarray(mask, np.float32)[..., None] / 255
    while True:
        paper, pen_colour = r.uniform(0, 255, 3), r.uniform(0, 255, 3)
        if r.random() < 0.6:
            paper, pen_colour = np.full(3, r.uniform(150, 255)), r.uniform(0, 110, 3)
            if r.random() < 0.35:
                paper, pen_colour = pen_colour, paper
        if np.abs(paper - pen_colour).max() > 60:
            break
    height, width = ink.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    picture = paper * (1 - ink) + pen_colour * ink
    if r.random() < 0.6:
        light = 1 + r.normal(0, 0.12) * x + r.normal(0, 0.12) * y + r.normal(0, 0.07) * (x * x + y * y)
        picture = picture * light[..., None]
    if r.random() < 0.6:
        picture = picture + r.normal(0, r.uniform(0, 12), (height, width, 1 if r.random() < 0.5 else 3))
    out = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    if r.random() < 0.4:
        out = out.filter(ImageFilter.GaussianBlur(r.uniform(0.2, 0.012 * height + 0.3)))
    if r.random() < 0.25:
        buffer = BytesIO()
        out.save(buffer, "JPEG", quality=int(r.integers(30, 90)))
        out = Image.open(BytesIO(buffer.getvalue())).convert("RGB")
    return out
