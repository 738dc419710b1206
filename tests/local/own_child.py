"""The real child with a backend of the tests: `python -m tests.local.own_child NAME`."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading

from hybridrt.errors import HybridrtError
from hybridrt.event import Finish, Text, Usage
from hybridrt.local.child import main
from hybridrt.signals import TokenCount
from tests.local.toy import Toy, toy_backend


class Files:
    """Loads the file that a message names, anew each time, and says two tokens."""

    async def answer(self, call):
        from hybridrt.local.llama import LlamaBackend

        backend = LlamaBackend(call.messages[0].text, window=512)
        try:
            async for event in backend.answer(call):
                yield event
        finally:
            await backend.close()


class Prober:
    """Tries what a message names and says how it was refused, or `done`."""

    async def answer(self, call):
        what, _, where = call.messages[0].text.partition(" ")
        yield Text(await asyncio.to_thread(attempt, what, where))
        yield Usage(1, 1)
        yield Finish("stop")

    async def count(self, messages, tools=(), output=None):
        return TokenCount(1, "exact")


def attempt(what: str, where: str) -> str:
    import socket

    tries = {
        "tcp": lambda: socket.create_connection(("127.0.0.1", int(where)), timeout=2),
        "tcp6": lambda: socket.socket(socket.AF_INET6).connect(("::1", int(where))),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(where))),
        "dns": lambda: socket.getaddrinfo("example.com", 80),
        "unix": lambda: socket.socket(socket.AF_UNIX).connect(where),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "io_uring": lambda: called(ctypes.CDLL(None, use_errno=True).syscall(425, 8, ctypes.create_string_buffer(120))),
        "program": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": os.fork,
        "signal": lambda: os.kill(int(where), 0),
        "trace": lambda: called(ctypes.CDLL(None, use_errno=True).ptrace(16, int(where), 0, 0)),
        "thread": lambda: threading.Thread(target=int).start(),
        "modules": lambda: f"{sorted(name for name in sys.modules if name.startswith(('hybridrt.egress', 'cloud_adapters', 'httpx2')))}",
        "abort": os.abort,
        "segfault": lambda: ctypes.string_at(0),
        "illegal": lambda: signal.raise_signal(signal.SIGILL),
        "secret": lambda: os.environ.get(where, "nothing"),
        "print": lambda: [os.write(handle, where.encode() * 100) for handle in (1, 2)] and sys.stdout.write(where) and sys.stdout.flush(),
    }
    try:
        done = tries[what]()
    except socket.gaierror:
        return "no such host"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return done if isinstance(done, str) else "done"


def called(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


class Buggy:
    """Raises what no backend may raise."""

    async def answer(self, call):
        yield Text("a")
        raise KeyError(call.messages[0].text)

    async def count(self, messages, tools=(), output=None):
        raise HybridrtError("not an error of a model")


class SlowLoad(Buggy):
    """Never gets done loading."""

    async def start(self):
        await asyncio.sleep(600)


class Endless(Toy):
    """Says letters for ever, a step each two milliseconds."""

    def say(self, held):
        return ord("a") + hash(tuple(held)) % 26


class Stuck(Endless):
    """Computes for ever once it comes to its fifth token, and hears no flag."""

    def step(self, rows, flag):
        if any(row.at > 5 for row in rows):
            threading.Event().wait()
        return super().step(rows, flag)


class Unchecked:
    """Gives a file to llama.cpp as it is, which ends the process on much of what is wrong in it."""

    async def answer(self, call):
        from hybridrt.local.llama import _native

        c = _native().c
        model = c.llama_model_load_from_file(call.messages[0].text.encode(), c.llama_model_default_params())
        params = c.llama_context_default_params()
        params.n_ctx, params.n_threads = 64, 1
        context = c.llama_init_from_model(model, params) if model else None
        if context:
            c.llama_decode(context, c.llama_batch_get_one((c.llama_token * 3)(1, 2, 3), 3))
            c.llama_free(context)
        if model:
            c.llama_model_free(model)
        yield Text("loaded" if context else "refused")
        yield Usage(1, 1)
        yield Finish("stop")


def toy(_):
    return toy_backend(Endless(slots=4, window=4096, step_s=0.002))


def unmade(opening) -> object:
    raise ValueError(opening.path)


MAKERS = {
    "files": lambda _: Files(),
    "prober": lambda _: Prober(),
    "buggy": lambda _: Buggy(),
    "slow": lambda _: SlowLoad(),
    "toy": toy,
    "unmade": unmade,
}
MAKERS |= {"unchecked": lambda _: Unchecked(), "stuck": lambda _: toy_backend(Stuck(slots=1, window=64))}

if __name__ == "__main__":
    main(MAKERS[sys.argv[1]])
