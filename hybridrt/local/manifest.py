"""What a net says of itself: how it is asked, what its answers mean, how to tell that it still works. A JSON file beside it.

`defects.onnx` has `defects.json`. The weights alone do not say in which order the colours come or what the seventh number
means; a wrong guess costs accuracy and no error. So nothing is guessed: what is missing is an error with its line.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridrt.errors import ManifestError, PolicyError
from hybridrt.sealed import Sealed

if TYPE_CHECKING:
    from hybridrt.policy.tree import Node

KINDS = ("image_classifier", "text_classifier", "sentence_encoder")
DTYPES = ("float32", "float16", "uint8", "int64", "int32")
RESAMPLING = ("nearest", "box", "bilinear", "bicubic", "lanczos")
# ImageNet's thousand and a large product catalogue; more names than this are a mistake.
MAX_LABELS = 100_000
# Nobody reads a larger one, and it is read whole when a router opens.
MAX_SIDE = 8192
# Calibration finds 0.3 to 5; far from there every answer is sure, or none is, and further the logits overflow.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.001, 1000.0


@dataclass(frozen=True, slots=True)
class Tensor:
    """The input of the net. None stands for a length that is open, such as that of the batch."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    layout: str = "NCHW"


@dataclass(frozen=True, slots=True)
class PictureForm:
    """How a picture becomes the input. Either the ink alone at `ink` x `ink`, or the steps below, in this order."""

    ink: int | None = None
    color: str = "rgb"
    # What lies under transparent pixels.
    background: tuple[int, int, int] = (255, 255, 255)
    # Height and width; or only the shorter side, the longer one in proportion.
    resize: tuple[int, int] | None = None
    shorter: int | None = None
    resampling: str = "bilinear"
    crop: tuple[int, int] | None = None
    invert: bool = False
    scale: float = 1 / 255
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a text becomes the input: `wordpiece` with a vocabulary file, or `bytes`: each byte plus `offset`."""

    tokenizer: str
    most_tokens: int
    vocabulary: Path | None = None
    lower: bool = True
    offset: int = 0
    mask: str | None = None
    types: str | None = None
    pooling: str = "none"
    normalize: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """When a classifier says `unknown`: one of these labels is the likeliest, or it is not sure enough."""

    labels: frozenset[str] = frozenset()
    least_confidence: float = 0.0
    # The distance to the second label, and the log of the sum of the exponentials of the logits.
    least_margin: float = 0.0
    least_energy: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Case(Sealed):
    """One input with the output the net gave where it was made."""

    output: tuple[float, ...]
    picture: bytes | None = None
    text: str | None = None
    input: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about a net but its weights."""

    name: str
    kind: str
    net: Path
    sha256: str
    licence: str
    tensor: Tensor
    output: str
    golden: tuple[Case, ...]
    tolerance: float
    picture: PictureForm | None = None
    text: TextForm | None = None
    labels: tuple[str, ...] = ()
    temperature: float = 1.0
    unknown: Unknown = Unknown()
    # In the order of preference; none leaves it to the processor.
    providers: tuple[str, ...] = ()

    @property
    def modality(self) -> str:
        """What it reads."""
        return "image" if self.picture is not None else "text"

    @property
    def task(self) -> str:
        """What it does."""
        return "embed" if self.kind == "sentence_encoder" else "classify"


def read_manifest(net: Path) -> Manifest:
    """Read the manifest beside a net; `net` may be either file.

    Raises:
        ManifestError: with file, line, column and what to do.
    """
    from hybridrt.policy.tree import parse, read_bytes

    file = net.with_suffix(".json")
    try:
        return _manifest(parse(read_bytes(file), file.name), file.with_suffix(".onnx"))
    except PolicyError as error:
        # The reader of policy files finds the place in any JSON, which is YAML too.
        unreadable = error.detail in ("unreadable", "empty")
        raise ManifestError(
            error.what.replace("the policy", "the manifest of the net"),
            file=error.file,
            line=error.line,
            column=error.column,
            hint=f"write `{file.name}` beside the net: docs/vision.md shows one" if unreadable else error.hint,
            code=error.detail,
        ) from None


KEYS = (
    *("hybridrt_net", "name", "kind", "what", "source", "licence", "sha256", "input", "output", "picture", "text"),
    *("labels", "temperature", "unknown", "providers", "golden"),
)


def _manifest(root: Node, net: Path) -> Manifest:
    keys = root.mapping("a manifest", KEYS)
    for key in ("hybridrt_net", "name", "kind", "sha256", "licence", "input", "output", "golden"):
        if key not in keys:
            root.fail(f"the manifest has no `{key}`", hint="docs/vision.md shows a whole one")
    if keys["hybridrt_net"].whole("`hybridrt_net`") != 1:
        keys["hybridrt_net"].fail("this form of a manifest is not known", hint='write `"hybridrt_net": 1`')
    kind = keys["kind"].word("`kind`", KINDS)
    reads = "picture" if kind == "image_classifier" else "text"
    if reads not in keys:
        root.fail(f"a `{kind}` says under `{reads}` how its input is made")
    if (other := "text" if reads == "picture" else "picture") in keys:
        root.key(other).fail(f"a `{kind}` has no `{other}`", hint="remove it")
    sha256 = keys["sha256"].text("`sha256`").lower()
    if len(sha256) != 64 or sha256.strip("0123456789abcdef"):
        keys["sha256"].fail("`sha256` is not 64 hexadecimal digits", hint=f"`sha256sum {net.name}` prints them")
    tensor = _tensor(keys["input"])
    labels = _labels(keys.get("labels"))
    if (kind == "sentence_encoder") == bool(labels):
        (keys.get("labels") or root).fail(
            "an encoder has no labels" if labels else f"a `{kind}` needs `labels`, in the order of its output"
        )
    tolerance, golden = _golden(keys["golden"], tensor, reads, len(labels))
    temperature = keys["temperature"].amount("`temperature`") if "temperature" in keys else 1.0
    if not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
        keys["temperature"].fail(f"`temperature` is a number from {LEAST_TEMPERATURE:g} to {MOST_TEMPERATURE:g}")
    return Manifest(
        name=keys["name"].text("`name`"),
        kind=kind,
        net=net,
        sha256=sha256,
        licence=keys["licence"].text("`licence`"),
        tensor=tensor,
        output=keys["output"].text("`output`"),
        golden=golden,
        tolerance=tolerance,
        picture=_picture(keys["picture"], tensor) if "picture" in keys else None,
        text=_text(keys["text"], net.parent, is_encoder=kind == "sentence_encoder") if "text" in keys else None,
        labels=labels,
        temperature=temperature,
        unknown=_unknown(keys.get("unknown"), labels),
        providers=tuple(entry.text("a provider") for entry in keys["providers"].items("`providers`", 16)) if "providers" in keys else (),
    )


def _labels(node: Node | None) -> tuple[str, ...]:
    if node is None:
        return ()
    labels: dict[str, None] = {}
    for entry in node.items("`labels`", MAX_LABELS):
        if (label := entry.text("a label")) in labels or label == "unknown":
            entry.fail("this label stands twice" if label in labels else "`unknown` is what every net can say, and no label of one")
        labels[label] = None
    return tuple(labels)


def _tensor(node: Node) -> Tensor:
    keys = node.mapping("`input`", ("name", "shape", "dtype", "layout"))
    for key in ("name", "shape"):
        if key not in keys:
            node.fail(f"`input` has no `{key}`")
    shape: list[int | None] = []
    for place, entry in enumerate(keys["shape"].items("`shape`", 5)):
        if isinstance(entry.value, str) or (place == 0 and entry.value == 1):
            shape.append(None if isinstance(entry.value, str) else 1)
        else:
            shape.append(entry.whole("a length", MAX_SIDE) or entry.fail("a length of 0 holds nothing"))
    return Tensor(
        name=keys["name"].text("`name`"),
        shape=tuple(shape),
        dtype=keys["dtype"].word("`dtype`", DTYPES) if "dtype" in keys else "float32",
        layout=keys["layout"].word("`layout`", ("NCHW", "NHWC")) if "layout" in keys else "NCHW",
    )


_PICTURE = ("ink", "color", "background", "resize", "shorter", "resampling", "crop", "invert", "scale", "mean", "std")


def _picture(node: Node, tensor: Tensor) -> PictureForm:
    keys = node.mapping("`picture`", _PICTURE)
    if "ink" in keys and len(keys) > 1:
        node.fail("`ink` finds, centres and scales by itself and stands alone", hint="remove the other keys")
    if "resize" in keys and "shorter" in keys:
        node.key("shorter").fail("`resize` and `shorter` are two ways to say it", hint="keep one")
    form = PictureForm(
        ink=keys["ink"].whole("`ink`", MAX_SIDE) or None if "ink" in keys else None,
        color=keys["color"].word("`color`", ("rgb", "bgr", "grey")) if "color" in keys else "rgb",
        background=_colour(keys["background"]) if "background" in keys else (255, 255, 255),
        resize=_size(keys["resize"]) if "resize" in keys else None,
        shorter=keys["shorter"].whole("`shorter`", MAX_SIDE) or None if "shorter" in keys else None,
        resampling=keys["resampling"].word("`resampling`", RESAMPLING) if "resampling" in keys else "bilinear",
        crop=_size(keys["crop"]) if "crop" in keys else None,
        invert=keys["invert"].truth("`invert`") if "invert" in keys else False,
        scale=keys["scale"].amount("`scale`") if "scale" in keys else 1 / 255,
        mean=_numbers(keys["mean"], "`mean`") if "mean" in keys else (),
        std=_numbers(keys["std"], "`std`") if "std" in keys else (),
    )
    channels = 1 if form.ink or form.color == "grey" else 3
    for key in ("mean", "std"):
        if key in keys and len(getattr(form, key)) != channels:
            keys[key].fail(f"`{key}` has {len(getattr(form, key))} numbers, and the picture {channels} channels")
    if any(value <= 0 for value in form.std):
        keys["std"].fail("`std` divides: its numbers are more than 0")
    size = (form.ink, form.ink) if form.ink else form.crop or form.resize
    if size is None:
        node.fail("nothing gives the picture the size of the input", hint='write `"resize": [height, width]`, or `shorter` with `crop`')
    wanted = (channels, *size) if tensor.layout == "NCHW" else (*size, channels)
    if len(tensor.shape) != 4 or any(length not in (None, made) for length, made in zip(tensor.shape[1:], wanted, strict=True)):
        made = ", ".join(map(str, wanted))
        node.fail(f"these steps make (batch, {made}), which is not the shape of the input", hint="check `input.shape` and `input.layout`")
    return form


def _colour(node: Node) -> tuple[int, int, int]:
    parts = [entry.whole("a part of a colour", 255) for entry in node.items("`background`", 3)]
    if len(parts) != 3:
        node.fail("a colour has three parts", hint="write `[255, 255, 255]`")
    return parts[0], parts[1], parts[2]


def _size(node: Node) -> tuple[int, int]:
    sides = [entry.whole("a side", MAX_SIDE) for entry in node.items("a size", 2)]
    if len(sides) != 2 or 0 in sides:
        node.fail("a size is height and width", hint="write `[224, 224]`")
    return sides[0], sides[1]


def _text(node: Node, folder: Path, *, is_encoder: bool) -> TextForm:
    names = ("tokenizer", "most_tokens", "vocabulary", "lower", "offset", "mask", "types", "pooling", "normalize")
    keys = node.mapping("`text`", names)
    for key in ("tokenizer", "most_tokens"):
        if key not in keys:
            node.fail(f"`text` has no `{key}`")
    tokenizer = keys["tokenizer"].word("`tokenizer`", ("wordpiece", "bytes"))
    if (tokenizer == "wordpiece") != ("vocabulary" in keys):
        node.fail("`wordpiece` needs its `vocabulary`, a text file with one piece per line; `bytes` has none")
    if is_encoder and "pooling" not in keys:
        node.fail(
            "an encoder says how its token vectors become one", hint='write `"pooling": "mean"`, `first`, or `none` if the net does it'
        )
    return TextForm(
        tokenizer=tokenizer,
        most_tokens=keys["most_tokens"].whole("`most_tokens`", 1_000_000) or keys["most_tokens"].fail("`most_tokens` is at least 1"),
        vocabulary=folder / keys["vocabulary"].text("`vocabulary`") if "vocabulary" in keys else None,
        lower=keys["lower"].truth("`lower`") if "lower" in keys else True,
        offset=keys["offset"].whole("`offset`") if "offset" in keys else 0,
        mask=keys["mask"].text("`mask`") if "mask" in keys else None,
        types=keys["types"].text("`types`") if "types" in keys else None,
        pooling=keys["pooling"].word("`pooling`", ("mean", "first", "none")) if "pooling" in keys else "none",
        normalize=keys["normalize"].truth("`normalize`") if "normalize" in keys else True,
    )


def _unknown(node: Node | None, labels: tuple[str, ...]) -> Unknown:
    if node is None:
        return Unknown()
    keys = node.mapping("`unknown`", ("labels", "least_confidence", "least_margin", "least_energy"))
    named = keys["labels"].items("`labels`", MAX_LABELS) if "labels" in keys else []
    for key in ("least_confidence", "least_margin"):
        if key in keys and keys[key].amount(f"`{key}`") > 1:
            keys[key].fail(f"`{key}` is a share of 1")
    none = frozenset(entry.word("the labels of this net", labels) for entry in named)
    if none and none.issuperset(labels):
        keys["labels"].fail("every label of the net means `unknown`: it could say nothing else", hint="leave out those that it is to say")
    return Unknown(
        labels=none,
        least_confidence=keys["least_confidence"].amount("`least_confidence`") if "least_confidence" in keys else 0.0,
        least_margin=keys["least_margin"].amount("`least_margin`") if "least_margin" in keys else 0.0,
        least_energy=_number(keys["least_energy"], "`least_energy`") if "least_energy" in keys else None,
    )


def _golden(node: Node, tensor: Tensor, reads: str, labels: int) -> tuple[float, tuple[Case, ...]]:
    keys = node.mapping("`golden`", ("tolerance", "cases"))
    if "tolerance" not in keys or "cases" not in keys or not keys["cases"].items("`cases`", 64):
        node.fail(
            "`golden` has a `tolerance` and at least one of `cases`", hint="run the net where it was made, and write down what it said"
        )
    return keys["tolerance"].amount("`tolerance`"), tuple(
        _case(entry, tensor, reads, labels) for entry in keys["cases"].items("`cases`", 64)
    )


def _case(node: Node, tensor: Tensor, reads: str, labels: int) -> Case:
    keys = node.mapping("a case", (reads, "input", "output"))
    if "output" not in keys or (reads in keys) == ("input" in keys):
        node.fail(f"a case has an `output`, and either `{reads}` or `input`")
    output = _numbers(keys["output"], "`output`")
    if labels and len(output) != labels:
        keys["output"].fail(f"`output` has {len(output)} numbers, and there are {labels} labels")
    if "input" in keys:
        values, wanted = _numbers(keys["input"], "`input`"), 1
        for length in tensor.shape[1:]:
            wanted *= length or 1
        if None not in tensor.shape[1:] and len(values) != wanted:
            keys["input"].fail(f"`input` has {len(values)} numbers, and the shape asks for {wanted}")
        return Case(output, input=values)
    if reads == "text":
        return Case(output, text=keys["text"].text("`text`"))
    try:
        return Case(output, picture=base64.b64decode(keys["picture"].text("`picture`"), validate=True))
    except (binascii.Error, ValueError):
        keys["picture"].fail("`picture` is not base64")


def _numbers(node: Node, what: str) -> tuple[float, ...]:
    return tuple(_number(entry, what) for entry in node.items(what, 65536))


def _number(node: Node, what: str) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float) or not abs(node.value) < 1e30:
        node.fail(f"{what} has {node.shape} where a number belongs")
    return float(node.value)
