"""A net with its manifest: pictures or texts in, labels with calibrated confidence or vectors out.

net = Net.open("models/defects.onnx")
net.classify([Path("part.png")])[0].label
net.run(array)                                  # no manifest between you and the net
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from hybridrt.errors import ContextOverflowError, ModelFileError, UnsupportedError
from hybridrt.local.manifest import Case, Manifest, TextForm, Unknown, read_manifest
from hybridrt.local.onnx import Placement, Runtime, Session
from hybridrt.local.picture import prepare, prepare_pixels
from hybridrt.request import Image, Pixels, read_picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridrt.local.onnx import Array

T = TypeVar("T")

UNKNOWN = "unknown"
# What a person looks at; the rest of a thousand labels says nothing.
TOP = 5
# Inputs computed at once: on one thread a larger batch is no faster and holds its memory.
BATCH = 32
# To scale a picture, find the ink in it and make floats of it, for each of its pixels, on one busy core.
_PIXEL_MS = 5e-6
# The length at which a text net is timed; much shorter ones are mostly the fixed cost of a run.
_EXAMPLE_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Classification:
    """What a net says of one input. `confidence` is the calibrated probability that `label` is right; `unknown` is a label."""

    label: str
    confidence: float
    # The likeliest labels with their probabilities, best first.
    labels: tuple[tuple[str, float], ...]


class Net:
    """A net in memory, checked against its golden cases. May be used from any thread."""

    def __init__(self, manifest: Manifest, session: Session) -> None:
        self.manifest = manifest
        self._session = session
        self._tokens = None if manifest.text is None else _tokens(manifest.text)
        self.run_ms = 0.0

    @classmethod
    def open(cls, path: str | PathLike[str], runtime: Runtime | None = None) -> Self:
        """Read manifest and net, make it ready, and check that it says here what it said where it was made.

        Raises:
            ManifestError: the manifest is missing or wrong.
            MissingModelError, MissingExtraError: the net, or what runs it, is not here.
            ModelFileError: it is another net, cannot be used, or fails a golden case.
        """
        manifest = read_manifest(Path(path))
        given = runtime or Runtime()
        if not given.providers and given.power is None:
            given = Runtime(manifest.providers, None, given.threads)
        session = Session.open(manifest.net, manifest.sha256, manifest.output, given)
        expected = [manifest.tensor.name, *_extra_inputs(manifest)]
        if sorted(session.inputs) != sorted(expected):
            hint = f"its inputs are {', '.join(session.inputs)}; the manifest names {', '.join(expected)}"
            raise ModelFileError(f"{manifest.net.name} takes other inputs than its manifest says", hint=hint)
        net = cls(manifest, session)
        net._check()
        return net

    @property
    def placement(self) -> Placement:
        """Where its nodes really are."""
        return self._session.placement

    def run(self, array: Array, **others: Array) -> Array:
        """Compute the output of one array with the axis of the batch, as the net itself takes it; `others` by their input names.

        Raises:
            UnsupportedError: the net does not take it.
        """
        return self._session.run({self.manifest.tensor.name: array, **others} if others else {self.manifest.tensor.name: array})

    def classify(self, inputs: Sequence[object], *, top: int = TOP) -> tuple[Classification, ...]:
        """Label pictures (in every form a request takes) or texts.

        Raises:
            UnsupportedError: this net does something else, or cannot read one of them.
            InvalidRequestError: something is no picture.
            ContextOverflowError: a text is longer than the net reads; nothing is cut.
        """
        if self.manifest.task != "classify":
            raise UnsupportedError(f"`{self.manifest.name}` makes vectors and no labels", feature="classify")
        return tuple(_classified(row, self.manifest, top) for row in self._outputs(inputs))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector per text, as rows.

        Raises:
            UnsupportedError: this net is no encoder.
            ContextOverflowError: a text is longer than the net reads; nothing is cut.
        """
        import numpy as np

        if self.manifest.task != "embed":
            raise UnsupportedError(f"`{self.manifest.name}` makes labels and no vectors", feature="embed")
        return np.array(list(self._outputs(texts)), np.float32)

    def off(self, case: Case) -> float:
        """By how much the output for a golden case differs from what it was where the net was made; the largest difference.

        Raises:
            ModelFileError: it has another number of outputs.
        """
        import numpy as np

        out = np.asarray(self._of_case(case), np.float32).reshape(-1)
        if len(out) != len(case.output):
            raise ModelFileError(f"`{self.manifest.name}` has {len(out)} outputs, and one of its golden cases {len(case.output)}")
        return float(np.abs(out - np.array(case.output, np.float32)).max())

    def run_example(self) -> float:
        """Run one empty input of the shape of its manifest; return the seconds it took.

        Raises:
            UnsupportedError: the net does not take that shape.
        """
        import numpy as np

        shape = _example_shape(self.manifest)
        example = np.zeros(shape, self.manifest.tensor.dtype)
        others = {name: np.ones(shape, self.manifest.tensor.dtype) for name in _extra_inputs(self.manifest)}
        began = time.perf_counter()
        self.run(example, **others)
        return time.perf_counter() - began

    def expect_ms(self, inputs: Sequence[object]) -> float:
        """Estimate how long it computes: by their number, and texts by their length, a token for each character at the most.

        Of a picture in pixels the scaling is counted too.
        """
        if self.manifest.picture is not None or None not in self.manifest.tensor.shape[1:]:
            pixels = sum(one.width * one.height for one in inputs if isinstance(one, Pixels))
            return self.run_ms * len(inputs) + pixels * _PIXEL_MS
        return sum(self.run_ms * max(1.0, len(one) / _EXAMPLE_TOKENS) for one in inputs if isinstance(one, str))

    def _outputs(self, inputs: Sequence[object]) -> list[NDArray[np.float32]]:
        """Return the output row of each input, in their order."""
        if self.manifest.picture is not None:
            return self._of_pictures(inputs)
        return self._of_texts([one if isinstance(one, str) else _no_text(one) for one in inputs])

    def _of_pictures(self, pictures: Sequence[object]) -> list[NDArray[np.float32]]:
        import numpy as np

        form, tensor = self.manifest.picture, self.manifest.tensor
        assert form is not None  # noqa: S101 - the caller has looked
        rows: list[NDArray[np.float32]] = []
        for part in _parts(pictures, 1 if tensor.shape[0] == 1 else BATCH):
            batch = []
            for one in part:
                image = one if isinstance(one, Image) else read_picture(one)
                if isinstance(image, Pixels):
                    batch.append(prepare_pixels(image, form, tensor))
                else:
                    batch.append(prepare(image.media_type, image.data, form, tensor))
            # One picture is not copied again for the axis of the batch.
            array = batch[0][None] if len(batch) == 1 else np.stack(batch)
            rows.extend(np.asarray(self.run(array), np.float32).reshape(len(part), -1))
        return rows

    def _of_texts(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        import numpy as np

        form, tensor = self.manifest.text, self.manifest.tensor
        assert form is not None  # noqa: S101 - the manifest has one of the two
        assert self._tokens is not None  # noqa: S101 - made with it
        numbers = [self._tokens(text) for text in texts]
        if (longest := max(map(len, numbers), default=0)) > form.most_tokens:
            raise ContextOverflowError(
                f"a text has {longest} tokens, and `{self.manifest.name}` reads {form.most_tokens}",
                needed=longest,
                window=form.most_tokens,
                hint="split it: a vector of its beginning would speak for the whole",
            )
        rows: dict[int, NDArray[np.float32]] = {}
        # Texts of a length together: a short one beside a long one is mostly filling.
        order = sorted(range(len(texts)), key=lambda one: len(numbers[one]))
        fixed = tensor.shape[1] if len(tensor.shape) > 1 else None
        for part in _parts(order, 1 if tensor.shape[0] == 1 else BATCH):
            longest = len(numbers[part[-1]])
            width = fixed or max(1, longest)
            if longest > width:
                raise ModelFileError(f"`{self.manifest.name}` has an input of {width} tokens, and its manifest allows more")
            if len(part) == 1 and longest == width:
                ids = np.asarray(numbers[part[0]], tensor.dtype)[None]
            else:
                ids = np.zeros((len(part), width), tensor.dtype)
                for row, one in enumerate(part):
                    ids[row, : len(numbers[one])] = numbers[one]
            others: dict[str, Array] = {}
            mask = None
            if form.mask is not None or form.pooling == "mean":
                mask = (np.arange(width) < np.array([[len(numbers[one])] for one in part])).astype(tensor.dtype)
            if form.mask is not None and mask is not None:
                others[form.mask] = mask
            if form.types is not None:
                others[form.types] = np.zeros_like(ids)
            out = np.asarray(self.run(ids, **others), np.float32)
            for one, value in zip(part, _pooled(out, mask, form) if self.manifest.task == "embed" else out, strict=True):
                rows[one] = value.reshape(-1)
        return [rows[one] for one in range(len(texts))]

    def _check(self) -> None:
        """Go through the golden cases, and learn how long a run takes: the faster of two, for the first also makes room."""
        for number, case in enumerate(self.manifest.golden, 1):
            off = self.off(case)
            if not off <= self.manifest.tolerance:
                raise ModelFileError(
                    f"`{self.manifest.name}` is {off:.3g} off at its golden case {number}, more than {self.manifest.tolerance:g}",
                    hint="the net, its preprocessing or the runtime does something else here than where it was made",
                )
        self.run_ms = min(self.run_example() for _ in range(2)) * 1000

    def _of_case(self, case: Case) -> object:
        import numpy as np

        if case.picture is not None:
            return self._of_pictures([case.picture])[0]
        if case.text is not None:
            return self._of_texts([case.text])[0]
        values = np.array(case.input, self.manifest.tensor.dtype)
        shape = self.manifest.tensor.shape[1:]
        return self.run(values.reshape((1, *(length or -1 for length in shape))))[0]


def _example_shape(manifest: Manifest) -> list[int]:
    """Return a shape to time: one input, its open lengths as the manifest makes them."""
    shape = [length or 1 for length in manifest.tensor.shape]
    if manifest.text is not None:
        open_length = min(_EXAMPLE_TOKENS, manifest.text.most_tokens)
        return [1, *(length or open_length for length in manifest.tensor.shape[1:])]
    if (form := manifest.picture) is not None:
        size = (form.ink, form.ink) if form.ink else form.crop or form.resize or (1, 1)
        channels = 1 if form.ink or form.color == "grey" else 3
        shape = [1, channels, *size] if manifest.tensor.layout == "NCHW" else [1, *size, channels]
    return shape


def _extra_inputs(manifest: Manifest) -> list[str]:
    return [] if manifest.text is None else [name for name in (manifest.text.mask, manifest.text.types) if name is not None]


def _no_text(one: object) -> str:
    raise UnsupportedError(f"this net reads text, and no `{type(one).__name__}`", feature="text")


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _tokens(form: TextForm) -> Callable[[str], Sequence[int] | Array]:
    if form.vocabulary is not None:
        from hybridrt.local.wordpiece import WordPiece

        return WordPiece.read(form.vocabulary, lower=form.lower).encode
    import numpy as np

    def bytes_of(text: str) -> Array:
        numbers = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
        return numbers.astype(np.int64) + form.offset if form.offset else numbers

    return bytes_of


def _pooled(out: NDArray[np.float32], mask: Array | None, form: TextForm) -> NDArray[np.float32]:
    """One vector per text: from all its tokens, from the first, or as the net gives it."""
    import numpy as np

    if form.pooling == "mean" and mask is not None:
        weights = mask.astype(np.float32)[..., None]
        out = (out * weights).sum(1) / np.maximum(weights.sum(1), 1)
    elif form.pooling == "first":
        out = out[:, 0]
    if out.ndim != 2:
        raise ModelFileError(
            f"the encoder gives {out.ndim} axes and not one vector per text", hint="say under `pooling` how they become one"
        )
    if form.normalize:
        out = out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    return out


def _classified(logits: NDArray[np.float32], manifest: Manifest, top: int) -> Classification:
    """Turn one row of logits into labels. What stands for `none of them` is `unknown`, with all of its probability."""
    # Plain numbers: each step of numpy over ten labels costs more than all of them here.
    scaled = [value / manifest.temperature for value in logits.tolist()]
    highest = max(scaled)
    shares = [math.exp(value - highest) for value in scaled]
    whole = sum(shares)
    chances = [(label, share / whole) for label, share in zip(manifest.labels, shares, strict=True)]
    energy, none = highest + math.log(whole), 0.0
    ranked = known = sorted(chances, key=itemgetter(1), reverse=True)
    if refusing := manifest.unknown.labels:
        none = sum([chance for label, chance in chances if label in refusing])
        known = [one for one in ranked if one[0] not in refusing]
        ranked = sorted([*known, (UNKNOWN, none)], key=itemgetter(1), reverse=True)
    (label, chance), second = known[0], known[1][1] if len(known) > 1 else 0.0
    best = tuple(ranked[:top])
    if _is_unknown(manifest.unknown, none, chance, second, energy):
        # What was not recognised may still be the likeliest label: the confidence is that of the refusal.
        return Classification(UNKNOWN, max(none, 1 - chance), best)
    return Classification(label, chance, best)


def _is_unknown(rule: Unknown, none: float, first: float, second: float, energy: float) -> bool:
    return (
        none >= first
        or first < rule.least_confidence
        or first - max(second, none) < rule.least_margin
        or (rule.least_energy is not None and energy < rule.least_energy)
    )
