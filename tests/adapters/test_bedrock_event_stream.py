"""The binary event stream: checked before it is believed, bounded, and the same however it is cut."""

import zlib

import pytest

from cloud_adapters.event_stream import MAX_HEADERS_BYTES, StreamMessages
from cloud_adapters.sse import MAX_EVENT_BYTES, MAX_EVENTS
from hybridrt.errors import ProtocolError
from tests.adapters.test_bedrock import frame


def messages(*pieces):
    stream = StreamMessages("acme")
    found = [message for piece in pieces for message in stream.feed(piece)]
    return [(dict(message.headers), message.payload) for message in found]


def raw(headers, payload=b"", size=None, headers_size=None):
    size = 16 + len(headers) + len(payload) if size is None else size
    prelude = size.to_bytes(4, "big") + (len(headers) if headers_size is None else headers_size).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


# The empty message, and one with a header and a payload, as the format's own documentation has them.
KNOWN = [
    ("000000100000000005c248eb7d98c8ff", {}, b""),
    (
        "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b27666f6f273a27626172277d8d9c08b1",
        {"content-type": "application/json"},
        b"{'foo':'bar'}",
    ),
]


@pytest.mark.parametrize(("hexed", "headers", "payload"), KNOWN)
def test_known_messages_are_read(hexed, headers, payload):
    assert messages(bytes.fromhex(hexed)) == [(headers, payload)]


def test_every_type_of_header_is_passed_and_text_is_kept():
    kinds = [(0, b""), (1, b""), (2, b"\x01"), (3, b"\x01\x02"), (4, b"1234"), (5, b"12345678"), (6, b"\x00\x02ab"), (8, b"12345678")]
    kinds += [(9, b"0123456789abcdef"), (7, b"\x00\x03yes")]
    headers = b"".join(bytes([1]) + bytes([97 + number]) + bytes([kind]) + value for number, (kind, value) in enumerate(kinds))
    assert messages(raw(headers, b"p")) == [({"j": "yes"}, b"p")]


def test_messages_are_the_same_wherever_they_are_cut():
    data = frame([("a", "ü")], b"one") + frame([], b"") + frame([("b", "")], b"three")
    expected = messages(data)
    assert len(expected) == 3
    assert messages(*(data[at : at + 1] for at in range(len(data)))) == expected
    for at in range(len(data) + 1):
        assert messages(data[:at], data[at:]) == expected


def test_one_changed_bit_anywhere_is_an_error():
    data = frame([("a", "b")], b"payload")
    for at in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(ProtocolError):
            messages(bytes(damaged))


WRONG = {
    "a length below the least": raw(b"", size=15),
    "headers longer than the message": raw(b"", headers_size=1),
    "more headers than allowed": raw(b"", size=MAX_EVENT_BYTES, headers_size=MAX_HEADERS_BYTES + 1),
    "a message of more than the cap": raw(b"", size=MAX_EVENT_BYTES + 1),
    "a header type that is none": raw(b"\x01a\x0a"),
    "a header cut in its name": raw(b"\x05a"),
    "a header cut in its value": raw(b"\x01a\x07\x00\x05ab"),
    "a header without a type": raw(b"\x01a"),
    "a header that is no text": raw(b"\x01a\x07\x00\x01\xff"),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_what_breaks_the_format_is_an_error(data):
    with pytest.raises(ProtocolError) as caught:
        messages(data)
    assert caught.value.__context__ is None


def test_a_length_above_the_cap_is_refused_before_its_bytes_come():
    with pytest.raises(ProtocolError, match="more than"):
        messages(raw(b"", size=2**32 - 1)[:12])


def test_messages_without_end_meet_a_cap():
    stream = StreamMessages("acme")
    stream.seen = MAX_EVENTS - 1
    assert list(stream.feed(frame([], b"")))
    with pytest.raises(ProtocolError, match="more than"):
        list(stream.feed(frame([], b"")))


def test_a_message_holds_no_words_in_its_repr():
    (message,) = StreamMessages("acme").feed(frame([], b"kumquat"))
    assert "kumquat" not in repr(message)
