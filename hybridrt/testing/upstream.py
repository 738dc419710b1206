"""A fast fixed upstream in its own process, for benchmarks: `python -m hybridrt.testing.upstream --port 0`.

It answers every POST with one chat completion of 377 bytes or, when the body asks to stream, with `--chunks` events
that differ from one another. It prints `{"port": ...}` and ends after `--seconds`, or when its standard input closes if
`--until-stdin-closes` is given.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time

BODY_BYTES = 377
# A benchmark takes minutes; an upstream that was forgotten ends by itself.
DEFAULT_SECONDS = 1800.0

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\nx-request-id: req_upstream\r\n"


def completion() -> bytes:
    """One chat completion of exactly `BODY_BYTES`."""
    message = {"role": "assistant", "content": ""}
    reply = {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "upstream",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 21, "total_tokens": 32},
    }
    missing = BODY_BYTES - len(json.dumps(reply, separators=(",", ":")))
    message["content"] = ("The quick answer of a fast upstream. " * 9)[:missing]
    return json.dumps(reply, separators=(",", ":")).encode()


def chunk(content: str | None, finish: str | None = None) -> bytes:
    """One event of a stream, framed as one HTTP chunk."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1760000000, "model": "upstream"}
    event = b"data: " + json.dumps({**head, "choices": [choice]}, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


class Upstream(asyncio.Protocol):
    """One connection; requests one after the other, bodies by `content-length`."""

    def __init__(self, whole: bytes, begun: bytes, chunks: tuple[bytes, ...], pace_s: float) -> None:
        self._whole = whole
        self._begun = begun
        self._chunks = chunks
        self._burst = begun + b"".join(chunks)
        self._pace_s = pace_s
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Say nothing more."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            _, found, rest = head.partition(b"content-length:")
            until = end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)
            if len(self._buffer) < until:
                return
            body, self._buffer = self._buffer[end + 4 : until], self._buffer[until:]
            self._answer(streams=b'"stream":true' in body or b'"stream": true' in body)

    def _answer(self, *, streams: bool) -> None:
        if self._transport is None:
            return
        if not streams:
            self._transport.write(self._whole)
        elif self._pace_s:
            self._transport.write(self._begun)
            self._next(0)
        else:
            self._transport.write(self._burst)

    def _next(self, number: int) -> None:
        """Send one chunk now and the next one later; a paced chunk carries this machine's monotonic clock."""
        if self._transport is None:
            return
        last_words = number >= len(self._chunks) - 2
        self._transport.write(b"".join(self._chunks[number:]) if last_words else chunk(f" {time.monotonic_ns()}"))
        if not last_words:
            asyncio.get_running_loop().call_later(self._pace_s, self._next, number + 1)


async def serve(port: int, *, chunks: int, pace_s: float, seconds: float, until_stdin_closes: bool) -> None:
    """Serve on loopback until the time is over or the parent is gone."""
    body = completion()
    whole = _HEAD % b"application/json" + b"content-length: %d\r\n\r\n" % len(body) + body
    begun = _HEAD % b"text/event-stream" + b"transfer-encoding: chunked\r\n\r\n"
    done = b"data: [DONE]\n\n"
    said = (
        *(chunk(f" word{number}") for number in range(chunks)),
        chunk(None, "stop"),
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done),
    )
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    server = await loop.create_server(lambda: Upstream(whole, begun, said, pace_s), "127.0.0.1", port)
    if until_stdin_closes:

        def watch() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(over.set)

        threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(json.dumps({"port": server.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        pass
    finally:
        server.close()


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m hybridrt.testing.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--chunks", type=int, default=500, help="events with words in a stream")
    parser.add_argument("--pace-ms", type=float, default=0.0, help="pause between events; 0 sends all at once")
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="end after so long")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started this")
    said = parser.parse_args(argv)
    asyncio.run(
        serve(said.port, chunks=said.chunks, pace_s=said.pace_ms / 1000, seconds=said.seconds, until_stdin_closes=said.until_stdin_closes)
    )


if __name__ == "__main__":
    main()
