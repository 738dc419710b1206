"""Find what was drawn or written in a picture: whatever its size, colours, light and place, the ink alone, centred, on nothing.

Twice the same step: where it is in the whole picture, then from a closer look at that place. In each, the colours become the
one grey in which the picture varies most, a smooth surface stands for paper and light, and what differs from it is the ink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Grey = NDArray[np.float32]
    Mask = NDArray[np.bool_]

# Pixels of the longer side at which ink is looked for: a pen stroke of a full page photograph is still there, and a step
# takes about a millisecond.
_SIDE = 96
# Grey levels of 255 that a mark must differ from its ground; paper grain and JPEG blocks differ by less.
_LEAST_CONTRAST = 14.0
# A mark must stand this many times above the spread of its ground.
_LEAST_OVER_NOISE = 3.5
# Specks of less than this part of the largest piece are dust; the second piece of a broken digit is larger.
_SPECK = 0.05
# How much of the ink's longer side is looked at around it the second time.
_AROUND = 0.3


def find_ink(picture: Image, size: int) -> Grey:
    """Return `size` x `size` values from 0 (ground) to 1 (ink); all zero where nothing stands out."""
    import numpy as np

    empty = np.zeros((size, size), np.float32)
    colours = picture if picture.mode == "RGB" else picture.convert("RGB")
    for _ in range(2):
        step = _fitted(colours)
        found = _ink(np.asarray(step, np.float32))
        if found is None:
            return empty
        ink, (left, top, right, bottom) = found
        scale_x, scale_y = colours.width / step.width, colours.height / step.height
        around = _AROUND * max((right - left) * scale_x, (bottom - top) * scale_y)
        box = (
            max(0, int(left * scale_x - around)),
            max(0, int(top * scale_y - around)),
            min(colours.width, int(right * scale_x + around + 1)),
            min(colours.height, int(bottom * scale_y + around + 1)),
        )
        if (box[2] - box[0]) * (box[3] - box[1]) > 0.8 * colours.width * colours.height:
            break  # a closer look would see the same
        colours = colours.crop(box)
    return _centred(ink[top:bottom, left:right], size)


def _fitted(picture: Image) -> Image:
    from PIL.Image import Resampling

    scale = _SIDE / max(picture.size)
    size = (max(2, round(picture.width * scale)), max(2, round(picture.height * scale)))
    return picture.resize(size, Resampling.BICUBIC, reducing_gap=2.0)


def _ink(colours: Grey) -> tuple[Grey, tuple[int, int, int, int]] | None:
    """Return the ink from 0 to 1 and the box around it, or none where nothing stands out."""
    import numpy as np

    grey = _widest_grey(colours)
    ground, is_ground = _ground(grey)
    over = grey - ground
    # 1.4826 times the median distance is the standard deviation, where it is normal.
    noise = 1.4826 * float(np.median(np.abs(over[is_ground])))
    edge = 3 * noise + 4
    if np.clip(-over - edge, 0, None).sum() > np.clip(over - edge, 0, None).sum():
        over = -over
    over = np.clip(over, 0, None)
    contrast = float(np.percentile(over, 99.5))
    if contrast < max(_LEAST_CONTRAST, _LEAST_OVER_NOISE * noise):
        return None
    mask = _main_pieces(over > max(_cut(over), 2 * noise))
    if not mask.any():
        return None
    level = float(np.percentile(over[mask], 60))
    floor = min(2 * noise, 0.4 * level)
    ink = np.clip((over - floor) / (level - floor), 0, 1) * _grown(_grown(mask))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return ink.astype(np.float32), (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _widest_grey(colours: Grey) -> Grey:
    """Project the colours on the line along which they vary most: red on green of equal brightness has contrast, too."""
    import numpy as np

    flat = colours.reshape(-1, 3)
    flat = flat - flat.mean(0)
    _, axes = np.linalg.eigh(flat.T @ flat)
    axis = axes[:, -1]
    # Along the axis grey 0..255 is as wide as 255 levels, as in a grey picture.
    spread = flat @ axis / np.sqrt(3.0)
    grey: Grey = (spread if axis.sum() >= 0 else -spread).reshape(colours.shape[:2]).astype(np.float32)
    return grey


def _ground(grey: Grey) -> tuple[Grey, Mask]:
    """Fit a smooth surface to what most of the picture, and above all its rim, looks like; also return what belongs to it."""
    import numpy as np

    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    values = grey.reshape(-1).astype(np.float64)
    rim = np.maximum(np.abs(x), np.abs(y)).reshape(-1) > 0.8
    level = float(np.median(values[rim]))
    surface = np.full_like(values, level)
    near = np.ones(values.shape, np.bool_)
    for order in (1, 3, 6, 6, 6):
        off = np.abs(values - surface)
        # From the rim inwards: what is near the surface so far belongs to the ground.
        near = off <= max(2.5 * float(np.median(off[rim])), 6.0)
        weights = near * np.where(rim, 3.0, 1.0)
        used = terms[:, :order] * weights[:, None]
        # The small ridge keeps a surface that few points hold from swinging.
        solved = np.linalg.solve(terms[:, :order].T @ used + 1e-3 * weights.sum() * np.diag([0.0] + [1.0] * (order - 1)), used.T @ values)
        surface = terms[:, :order] @ solved
    return surface.reshape(grey.shape).astype(np.float32), near.reshape(grey.shape)


def _cut(over: Grey) -> float:
    """Return the value that best parts two groups (Otsu)."""
    import numpy as np

    counts, edges = np.histogram(over, 64)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1]
    above = below[-1] + counts[-1] - below
    sums = np.cumsum(counts * middles)
    apart = below * above * (sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)) ** 2
    return float(edges[1:][int(np.argmax(apart))])


def _grown(mask: Mask) -> Mask:
    import numpy as np

    wide = np.pad(mask, 1)
    return wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:] | mask


def _main_pieces(mask: Mask) -> Mask:
    """Keep what belongs to the drawing: not the dust, and not the edge of the table around the sheet."""
    import numpy as np

    pieces = _pieces(mask)
    if not pieces:
        return mask
    height, width = mask.shape
    kept = np.zeros_like(mask)
    areas = [sum(end - start for _, start, end in runs) for runs in pieces]
    on_rim = [any(row in (0, height - 1) or start == 0 or end == width for row, start, end in runs) for runs in pieces]
    inner = max((area for area, rim in zip(areas, on_rim, strict=True) if not rim), default=0)
    outer = max((area for area, rim in zip(areas, on_rim, strict=True) if rim), default=0)
    drops_rim = inner >= 0.25 * outer
    largest = inner if drops_rim else max(inner, outer)
    for runs, area, rim in zip(pieces, areas, on_rim, strict=True):
        if area >= _SPECK * largest and not (rim and drops_rim):
            for row, start, end in runs:
                kept[row, start:end] = True
    return kept


def _pieces(mask: Mask) -> list[list[tuple[int, int, int]]]:
    """Return the connected pieces, each as runs of (row, start, end); corners connect."""
    import numpy as np

    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(steps == 1).tolist(), np.argwhere(steps == -1).tolist()
    runs = [(row, start, end) for (row, start), (_, end) in zip(starts, ends, strict=True)]
    parent = list(range(len(runs)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    above: list[int] = []
    here: list[int] = []
    for one, (row, start, end) in enumerate(runs):
        if here and runs[here[0]][0] != row:
            above, here = (here if runs[here[0]][0] == row - 1 else []), []
        here.append(one)
        for other in above:
            if runs[other][1] <= end and start <= runs[other][2]:
                parent[root(one)] = root(other)
    pieces: dict[int, list[tuple[int, int, int]]] = {}
    for one, run in enumerate(runs):
        pieces.setdefault(root(one), []).append(run)
    return list(pieces.values())


def _centred(ink: Grey, size: int) -> Grey:
    """Scale the ink to fill all but a rim of one pixel, its proportions kept, and put it into the middle."""
    import numpy as np
    from PIL import Image

    height, width = ink.shape
    scale = (size - 2) / max(height, width)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(ink).resize(inner, Image.Resampling.BOX), np.float32)
    # A thin pen covers only a part of each pixel; what counts is where it went.
    small = small / max(float(small.max()), 0.1)
    left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
    out = np.zeros((size, size), np.float32)
    out[top : top + inner[1], left : left + inner[0]] = small
    return out
