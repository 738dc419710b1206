"""Pictures as people hold them (a path, bytes, a data URL, a PIL image, an array) turned into bytes with a media type.

Whatever is too large is refused before it is read, decoded or copied; what is encoded here stops at the bound.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from os import PathLike
from typing import Any

from hybridrt.errors import InvalidRequestError

# The first bytes of the formats that both local nets and providers read.
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
# Providers stop at 5 to 20 MB; a larger file is a mistake or an attack.
MAX_IMAGE_BYTES = 20 * 1024 * 1024
# What the sensors of phones deliver (8160 x 6120); decoded, 150 MB. A file of some kilobytes can claim a thousand times that.
MAX_PIXELS = 50_000_000
# Longer than any camera or page makes it; a single row of a million pixels is no picture.
MAX_SIDE = 32_768
# Up to here a data URL is taken apart in less than a millisecond.
_SOON_READ = 256 * 1024
# The fastest: a second of work for 6 million pixels becomes a quarter, for a tenth more bytes.
_PNG_LEVEL = 1
# Rows of an array are packed about so many bytes at a time.
_BLOCK_BYTES = 1024 * 1024
# Modes of PIL that PNG holds as they are, and what the others become.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_WITH_ALPHA = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}
# What PNG calls as many channels of a byte each, and the modes of PIL that are just these.
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
# What stands beside the colours in a PIL image and changes how it looks.
_BESIDES = frozenset({"transparency", "exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
# Noise, which does not become smaller, is still within the bound as PNG.
MAX_RAW_BYTES = MAX_IMAGE_BYTES * 4 // 5
_FORMS = "give a path, bytes, a data URL, a PIL image or a uint8 array"


def read_image(image: object) -> tuple[str, bytes]:
    """Return the media type and the encoded bytes of a picture.

    Raises:
        InvalidRequestError: it cannot be read, is too large or is not a picture.
    """
    try:
        return _read(image)
    except InvalidRequestError as error:
        fault = error
    except Exception as error:  # noqa: BLE001 - whatever an object of the caller does when it is read
        fault = _wrong(
            f"the picture cannot be read: {type(error).__name__}", "give a path, bytes, a data URL, a PIL image or a uint8 array"
        )
    raise fault


def is_soon_read(image: object) -> bool:
    """Is there nothing to open, decode or encode? Then it need not be done in a thread."""
    return isinstance(image, bytes) or (isinstance(image, str) and image.startswith("data:") and len(image) < _SOON_READ)


def read_pixels(image: object, most_bytes: int = MAX_RAW_BYTES) -> tuple[int, int, int, bytes] | None:
    """Return width, height, channels (1, 3 or 4) and a copy of the bytes, row by row, of a picture that is nothing more than these.

    None for every other picture, also for one of more bytes or one that would have to be decoded first: `read_image` reads those.
    """
    try:
        shape = _shape_of(image)
        if shape is None or min(shape) < 1 or max(shape) > MAX_SIDE or shape[0] * shape[1] * shape[2] > most_bytes:
            return None
        raw: object = image.tobytes()  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - an object of the caller; `read_image` says what is wrong with it
        return None
    width, height, channels = shape
    return (width, height, channels, raw) if isinstance(raw, bytes) and len(raw) == width * height * channels else None


def _shape_of(image: Any) -> tuple[int, int, int] | None:
    """Return width, height and channels of an array of bytes, or of a PIL image in memory that holds no more than one."""
    if hasattr(image, "save") and hasattr(image, "mode"):
        # What PNG would carry beside the colours, and what is read from its file only now, take the way of the others.
        is_plain = image.mode in _CHANNELS and not getattr(image, "tile", ()) and _BESIDES.isdisjoint(image.info)
        return (*image.size, _CHANNELS[image.mode]) if is_plain else None
    if hasattr(image, "__array_interface__"):
        shape: tuple[int, ...] = image.__array_interface__["shape"]
        is_plain = image.__array_interface__["typestr"] == "|u1" and len(shape) in (2, 3) and (*shape, 1)[2] in _COLOUR_TYPES
        return (shape[1], shape[0], (*shape, 1)[2]) if is_plain else None
    return None


def png_of(width: int, height: int, channels: int, raw: bytes) -> bytes:
    """Encode bytes of colour as PNG, with the standard library alone.

    Raises:
        InvalidRequestError: there are more of them than a picture may have.
    """
    return _png(width, height, channels, lambda top, below: raw[top * width * channels : below * width * channels])


def _read(image: object) -> tuple[str, bytes]:
    if isinstance(image, str) and image.startswith("data:"):
        return _checked(_from_data_url(image))
    if isinstance(image, str) and image.startswith(("http:", "https:")):
        raise _wrong("the picture is named by URL, which would have to be fetched", "give the picture itself: a path, bytes or a data URL")
    if isinstance(getattr(image, "data", None), bytes) and hasattr(image, "media_type"):
        return _checked(image.data)  # type: ignore[attr-defined]
    if isinstance(image, str | PathLike):
        return _checked(_from_path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        _check_bytes(image.nbytes if isinstance(image, memoryview) else len(image))
        return _checked(bytes(image))
    if hasattr(image, "save") and hasattr(image, "mode"):
        return _checked(_from_pil(image))
    if hasattr(image, "__array_interface__"):
        return _checked(_from_array(image))
    raise _wrong(f"a picture cannot be read from `{type(image).__name__}`", _FORMS)


def _checked(data: bytes) -> tuple[str, bytes]:
    _check_bytes(len(data))
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type, data
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp", data
    raise _wrong("the bytes are no PNG, JPEG, GIF or WebP picture", "convert it first")


def _check_bytes(size: int) -> None:
    if size > MAX_IMAGE_BYTES:
        raise _wrong(f"the picture has {size} bytes, more than {MAX_IMAGE_BYTES}", "scale it down")


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise _wrong(f"the picture has {width} x {height} pixels: there is nothing to see", "give one with at least one pixel")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        message = f"the picture has {width} x {height} pixels, more than {MAX_PIXELS:,} in all or {MAX_SIDE:,} along a side"
        raise _wrong(message, "scale it down")


def _from_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise _wrong("the data URL is not base64", "write `data:image/png;base64,...`")
    # Four letters for three bytes, the last of which may be filling.
    _check_bytes(len(body) // 4 * 3 - 2)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("the data URL does not decode", "write `data:image/png;base64,...`") from None


def _from_path(path: str | PathLike[str]) -> bytes:
    try:
        # Without waiting: a named pipe would block an ordinary open for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _wrong("the picture cannot be read: this is not a plain file", "name a picture file")
            _check_bytes(found.st_size)
            return file.read(MAX_IMAGE_BYTES + 1)
    except FileNotFoundError:
        reason = "there is no such file"
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "the path is not usable").lower()
    raise _wrong(f"the picture cannot be read: {reason}", "check the path")


class _Bounded(BytesIO):
    """Takes as many bytes as a picture may have."""

    def write(self, data: Any) -> int:
        """Take some more of them."""
        if self.tell() + len(data) > MAX_IMAGE_BYTES:
            raise _wrong(f"the picture has more than {MAX_IMAGE_BYTES} bytes as PNG", "scale it down, or give it as JPEG")
        return super().write(data)


def _from_pil(image: Any) -> bytes:
    _check_size(*image.size)
    buffer = _Bounded()
    _png_mode(image).save(buffer, format="PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def _png_mode(image: Any) -> Any:
    """The picture in a mode that PNG holds."""
    mode = image.mode
    if mode in _PNG_MODES:
        return image
    if mode == "F" or mode.startswith("I"):
        low, high = image.getextrema()
        if mode == "F" and not (low >= 0 and 1 < high <= 255):  # also where it is no number
            raise _wrong("a PIL image of mode `F` holds other values than 0 to 255", "scale them, and convert it to `L`")
        return image.convert("L" if high <= 255 else "I;16")
    try:
        return image.convert(_WITH_ALPHA.get(mode, "RGB"))
    except ValueError:
        pass
    raise _wrong(f"a PIL image of mode `{mode}` cannot be read", "convert it to `RGB`")


def _from_array(image: Any) -> bytes:
    """Encode a height x width (x 1, 3 or 4) array of bytes as PNG, with the standard library alone."""
    shape: tuple[int, ...] = image.__array_interface__["shape"]
    typestr: str = image.__array_interface__["typestr"]
    channels = shape[2] if len(shape) == 3 else 1
    if typestr != "|u1" or len(shape) not in (2, 3) or channels not in _COLOUR_TYPES:
        raise _wrong(f"an array of shape {shape} and type `{typestr}` is no picture", "give uint8, height x width, x 3 or x 4")
    height, width = shape[0], shape[1]
    _check_size(width, height)
    return _png(width, height, channels, lambda top, below: image[top:below].tobytes())


def _png(width: int, height: int, channels: int, rows_of: Callable[[int, int], bytes]) -> bytes:
    stride = width * channels
    rows = max(1, _BLOCK_BYTES // stride)
    pack, packed = zlib.compressobj(_PNG_LEVEL), _Bounded()
    for top in range(0, height, rows):
        raw = rows_of(top, top + rows)
        packed.write(pack.compress(b"".join(b"\x00" + raw[at : at + stride] for at in range(0, len(raw), stride))))
    packed.write(pack.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed.getvalue()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _wrong(message: str, hint: str) -> InvalidRequestError:
    return InvalidRequestError(message, field="image", hint=hint)
