"""An encoded picture becomes the input of a net: decoded within bounds, upright, in plain colours, then as the manifest says."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from hybridrt.errors import MissingExtraError, PictureError
from hybridrt.image import MAX_PIXELS, MAX_SIDE
from hybridrt.local.ink import find_ink
from hybridrt.local.manifest import PictureForm, Tensor
from hybridrt.request import Pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

# For drawings on nothing: enough that thin strokes stay, and a fraction of the work of decoding a whole photograph.
_INK_SIDE = 512


def open_picture(media_type: str, data: bytes, *, draft: int | None = None) -> Image:
    """Decode the first frame of a picture, upright; `draft` allows a JPEG to be decoded at a smaller size, not below this.

    Raises:
        PictureError: it has too many pixels, is cut, or is damaged. Nothing larger than the bound is ever decoded.
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import ImageOps
    except ImportError:
        raise MissingExtraError("to decode a picture", extra="local") from None
    if media_type == "image/webp":
        # Its reader makes room for all pixels as soon as it opens.
        _check_size(*_webp_size(data))
    fault: PictureError
    try:
        picture: Image = _reader(media_type)(BytesIO(data))
        _check_size(*picture.size)
        if draft is not None:
            picture.draft("RGB", (draft, draft))
        picture.load()
        # In place: otherwise it would copy every picture that is upright already.
        ImageOps.exif_transpose(picture, in_place=True)
        return picture
    except PictureError as error:
        fault = error
    except Exception as error:  # noqa: BLE001 - a hostile file makes the decoders raise whatever they like
        fault = PictureError(f"the picture cannot be decoded: {type(error).__name__}", hint="the file is cut or damaged")
    raise fault


def _reader(media_type: str) -> Any:
    # Not `Image.open`: it would try formats that nobody named, and warn where we refuse.
    from PIL import GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    return {
        "image/png": PngImagePlugin.PngImageFile,
        "image/jpeg": JpegImagePlugin.JpegImageFile,
        "image/gif": GifImagePlugin.GifImageFile,
        "image/webp": WebPImagePlugin.WebPImageFile,
    }[media_type]


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PictureError(
            f"the picture has {width} x {height} pixels, more than {MAX_PIXELS:,} in all or {MAX_SIDE:,} along a side",
            pixels=width * height,
            most_pixels=MAX_PIXELS,
            hint="scale it down",
        )


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read the size in the first chunk of a WebP file (lossy, lossless or extended)."""
    kind, body = data[12:16], data[20:34]
    if kind == b"VP8X" and len(body) >= 10:
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(body) >= 10:
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise PictureError("the picture cannot be decoded: no size in its first chunk", hint="the file is cut or damaged")


def plain(picture: Image, background: tuple[int, int, int] | None = (255, 255, 255)) -> Image:
    """Return a picture of any mode as RGB. Without a background, what is transparent becomes whatever the drawing is not."""
    import numpy as np
    from PIL import Image as Images

    if picture.mode.startswith("I"):
        # Sixteen bits: `convert` would cut everything above 255 to white.
        values = np.asarray(picture).astype(np.int64)
        picture = Images.fromarray((values >> 8 if values.max(initial=0) > 255 else values).clip(0, 255).astype(np.uint8))
    elif picture.mode == "F":
        picture = Images.fromarray(np.asarray(picture).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if background is None:
            pixels = np.asarray(picture, np.float32)
            covered = pixels[..., 3:] / 255
            is_light = bool((pixels[..., :3] * covered).sum() > 128 * 3 * covered.sum())
            background = (0, 0, 0) if is_light else (255, 255, 255)
        ground = Images.new("RGBA", picture.size, (*background, 255))
        picture = Images.alpha_composite(ground, picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def prepare(media_type: str, data: bytes, form: PictureForm, tensor: Tensor) -> NDArray[np.generic]:
    """Return the input for one picture, without the axis of the batch.

    Raises:
        PictureError: it cannot be decoded within the bounds.
    """
    return _input(open_picture(media_type, data, draft=None if form.ink is None else _INK_SIDE), form, tensor)


def prepare_pixels(pixels: Pixels, form: PictureForm, tensor: Tensor) -> NDArray[np.generic]:
    """Return the input for a picture that is decoded already: the same as `prepare` would make of it as PNG."""
    try:
        from PIL import Image as Images
    except ImportError:
        raise MissingExtraError("to scale a picture", extra="local") from None
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.channels]
    # Over the bytes as they lie there: nothing is copied.
    return _input(Images.frombuffer(mode, (pixels.width, pixels.height), pixels.raw, "raw", mode, 0, 1), form, tensor)


def _input(picture: Image, form: PictureForm, tensor: Tensor) -> NDArray[np.generic]:
    import numpy as np

    if form.ink is not None:
        pixels: NDArray[Any] = find_ink(plain(picture, None), form.ink)[..., None]
    else:
        picture = _placed(plain(picture, form.background), form)
        if form.color == "grey":
            picture = picture.convert("L")
        pixels = np.asarray(picture)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        pixels = pixels[..., ::-1] if form.color == "bgr" else pixels
        if tensor.dtype != "uint8":
            pixels = _scaled(pixels, form)
        elif form.invert:
            pixels = 255 - pixels
    if tensor.layout == "NCHW":
        pixels = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(pixels, dtype=tensor.dtype)


def _placed(picture: Image, form: PictureForm) -> Image:
    from PIL.Image import Resampling

    how = Resampling[form.resampling.upper()]
    if form.resize is not None:
        picture = picture.resize((form.resize[1], form.resize[0]), how)
    elif form.shorter is not None:
        scale = form.shorter / min(picture.size)
        width, height = (max(form.shorter, round(side * scale)) for side in picture.size)
        # A strip a thousand times as long as wide grows with its shorter side.
        _check_size(width, height)
        picture = picture.resize((width, height), how)
    if form.crop is not None:
        height, width = form.crop
        left, top = round((picture.width - width) / 2), round((picture.height - height) / 2)
        picture = picture.crop((left, top, left + width, top + height))
    return picture


def _scaled(pixels: NDArray[np.generic], form: PictureForm) -> NDArray[np.generic]:
    import numpy as np

    values = pixels.astype(np.float32)
    if form.invert:
        values = 255 - values
    values *= np.float32(form.scale)
    if form.mean:
        values -= np.array(form.mean, np.float32)
    if form.std:
        values /= np.array(form.std, np.float32)
    return values
