"""Pictures as people hold them (a path, bytes, a data URL, a PIL image, an array) turned into bytes with a media type."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from os import PathLike
from pathlib import Path

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


def read_image(image: object) -> tuple[str, bytes]:
    """Return the media type and the encoded bytes of a picture.

    Raises:
        InvalidRequestError: it cannot be read, is too large or is not a picture.
    """
    if isinstance(image, str) and image.startswith("data:"):
        return _checked(_from_data_url(image))
    if isinstance(image, str) and image.startswith(("http:", "https:")):
        raise _wrong("the picture is named by URL, which would have to be fetched", "give the picture itself: a path, bytes or a data URL")
    if isinstance(getattr(image, "data", None), bytes) and hasattr(image, "media_type"):
        return _checked(image.data)  # type: ignore[attr-defined]
    if isinstance(image, str | PathLike):
        return _checked(_from_path(Path(image)))
    if isinstance(image, bytes | bytearray | memoryview):
        return _checked(bytes(image))
    if hasattr(image, "save") and hasattr(image, "mode"):
        return _checked(_from_pil(image))
    if hasattr(image, "__array_interface__"):
        return _checked(_from_array(image))
    raise _wrong(f"a picture cannot be read from `{type(image).__name__}`", "give a path, bytes, a data URL, a PIL image or a uint8 array")


def _checked(data: bytes) -> tuple[str, bytes]:
    if len(data) > MAX_IMAGE_BYTES:
        raise _wrong(f"the picture has {len(data)} bytes, more than {MAX_IMAGE_BYTES}", "scale it down")
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type, data
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp", data
    raise _wrong("the bytes are no PNG, JPEG, GIF or WebP picture", "convert it first")


def _from_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise _wrong("the data URL is not base64", "write `data:image/png;base64,...`")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("the data URL does not decode", "write `data:image/png;base64,...`") from None


def _from_path(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise _wrong(f"the picture has {path.stat().st_size} bytes, more than {MAX_IMAGE_BYTES}", "scale it down")
        return path.read_bytes()
    except FileNotFoundError:
        reason = "there is no such file"
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "the path is not usable").lower()
    raise _wrong(f"the picture cannot be read: {reason}", "check the path")


def _from_pil(image: object) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    image.save(buffer, format="PNG")  # type: ignore[attr-defined]
    return buffer.getvalue()


def _from_array(image: object) -> bytes:
    """Encode a height x width (x 1, 3 or 4) array of bytes as PNG, with the standard library alone."""
    shape: tuple[int, ...] = image.__array_interface__["shape"]  # type: ignore[attr-defined]
    typestr: str = image.__array_interface__["typestr"]  # type: ignore[attr-defined]
    channels = shape[2] if len(shape) == 3 else 1
    colour_type = {1: 0, 3: 2, 4: 6}.get(channels)
    if typestr != "|u1" or len(shape) not in (2, 3) or colour_type is None or 0 in shape:
        raise _wrong(f"an array of shape {shape} and type `{typestr}` is no picture", "give uint8, height x width, x 3 or x 4")
    height, width = shape[0], shape[1]
    raw = image.tobytes()  # type: ignore[attr-defined]
    stride = width * channels
    rows = b"".join(b"\x00" + raw[row * stride : (row + 1) * stride] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _wrong(message: str, hint: str) -> InvalidRequestError:
    return InvalidRequestError(message, field="image", hint=hint)
