"""A child that does not keep to the protocol: `python -m tests.local.bad_child HOW`."""

from __future__ import annotations

import os
import struct
import sys
import time

from hybridrt.local.frame import MAX_TO_CHILD_BYTES, Word, cut, pack


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def said(word: object, body: object = None, number: int = 1) -> bytes:
    return pack(word, number, body)


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


FINISH = ["finish", "stop", None, None, [], None, None]
ERROR = ["failed", "words", "hint", {}]
# What it says as soon as it was asked something.
SPEECHES = {
    "garbage": bytes(range(256)) * 300,
    "zeros": bytes(100),
    "a print of a library": b"ggml: loaded something\n" * 50,
    "a frame of 4 GB": b"\xff\xff\xff\xff" + b"x" * 100,
    "no JSON": frame(b"{hello"),
    "no UTF-8": frame(b'["text", 1, "\xff\xfe"]'),
    "JSON nested without end": frame(b"[" * 100_000),
    "a number of a million digits": frame(b'["text", 1, ' + b"9" * 1_000_000 + b"]"),
    "no list": frame(b"{}"),
    "a list of two": frame(b'["text", 1]'),
    "a true number": frame(b'["text", true, "x"]'),
    "an unknown word": said("shout", "x"),
    "an answer to no question": said(Word.TEXT, "x", 99),
    "ready twice": said(Word.READY, [], 0) * 2,
    "ready that is no list": said(Word.READY, 5, 0),
    "pongs that nobody asked for": said(Word.PONG, None, 0),
    "a text that is a number": said(Word.TEXT, 5),
    "an empty text": said(Word.TEXT, ""),
    "half of a surrogate pair": frame(b'["text", 1, "\\ud800"]'),
    "a value to an answer": said(Word.VALUE, [1, "exact"]),
    "an unknown event": said(Word.EVENT, ["shell", "rm"]),
    "an event that is none": said(Word.EVENT, None),
    "a finish of no kind": said(Word.EVENT, ["finish", "explode", *FINISH[2:]]),
    "a finish of a list": said(Word.EVENT, ["finish", [], *FINISH[2:]]),
    "a confidence of 7": said(Word.EVENT, ["finish", "stop", 7, *FINISH[3:]]),
    "a confidence that is no number": frame(b'["event", 1, ["finish", "stop", NaN, null, [], null, null]]'),
    "labels that are none": said(Word.EVENT, ["finish", "stop", None, None, [["a", "b"]], None, None]),
    "a parsed value too deep": said(Word.EVENT, ["finish", "stop", None, None, [], nested(500), None]),
    "evidence of another kind": said(Word.EVENT, [*FINISH[:6], {"logprobs": []}]),
    "negative usage": said(Word.EVENT, ["usage", -1, 1, None, None]),
    "usage of texts": said(Word.EVENT, ["usage", "1", 1, None, None]),
    "an unknown error": said(Word.FAILED, ["egress", "words", "hint", {}]),
    "an error with other facts": said(Word.FAILED, ["failed", "words", "hint", {"__class__": "x"}]),
    "an error of a megabyte": said(Word.FAILED, ["failed", "w" * 1_000_000, "hint", {}]),
    "an error that moves the cursor": said(Word.FAILED, ["failed", "\x1b[2J", "hint", {}]),
    "an error that is a number": said(Word.FAILED, 3),
    "speech after the end": said(Word.EVENT, FINISH) + said(Word.TEXT, "more"),
}
ENDS = ("exits", "aborts", "closes its end", "exits at once", "aborts at once")
STALLS = ("reads nothing", "says nothing", "says half a frame", "stops itself")
FLOODS = ("texts", "thoughts", "text without end")
NUMBERS = ("says it to question 1",)


def write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


def main() -> None:
    how = sys.argv[1]
    if how == "exits at once":
        os._exit(3)
    if how == "aborts at once":
        os.abort()
    if how not in SPEECHES or not how.startswith("ready"):
        write(said(Word.READY, ["nothing"], 0))
    if how == "reads nothing":
        time.sleep(600)
    buffer = bytearray()
    while not any(number for _, number, _, _ in cut(buffer, MAX_TO_CHILD_BYTES)):
        buffer += os.read(0, 65536)
    if how in SPEECHES:
        write(SPEECHES[how])
        time.sleep(600)
    match how:
        case "exits":
            os._exit(3)
        case "aborts":
            os.abort()
        case "closes its end":
            os.close(1)
        case "says half a frame":
            write(said(Word.TEXT, "x")[:-3])
        case "stops itself":
            import signal

            os.kill(os.getpid(), signal.SIGSTOP)
        case "texts":
            while True:
                write(said(Word.TEXT, "x") * 1000)
        case "thoughts":
            while True:
                write(said(Word.EVENT, ["reasoning", "x" * 1000]) * 100)
        case "text without end":
            write(struct.pack(">I", 20_000_000) + b'["text",1,"')
            while True:
                write(b"x" * 65536)
    time.sleep(600)


if __name__ == "__main__":
    main()
