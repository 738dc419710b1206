"""E1: one file of the product opens sockets. Found in the source, so that no test has to happen to run the line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Opens connections; may import what it needs for that.
TRANSPORT = "hybridrt/egress/transport.py"
# Speaks HTTP/1.1 over a connection it is given, with the engine of httpx2.
PARSER = "hybridrt/egress/lane.py"
# Stands on the other side of the wire: it listens, and never connects.
KIT = "hybridrt/testing/"

SOCKETS = {"socket", "_socket", "ssl", "_ssl", "select", "selectors"}
PARSERS = {"h11", "h2"}
CLIENTS = {
    *(
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "aiohttp",
        "requests",
        "urllib3",
        "urllib.request",
        "http.client",
        "websockets",
        "pycurl",
    ),
    *("ftplib", "smtplib", "poplib", "imaplib", "nntplib", "telnetlib", "xmlrpc", "xmlrpc.client", "httplib2", "asks", "treq", "niquests"),
    *("openai", "anthropic", "boto3", "botocore", "google.genai", "mistralai", "cohere", "litellm", "ollama", "paramiko", "trio"),
    *("anyio", "truststore", "asyncio.streams", "grpc", "zmq", "redis"),
}
# Names that open a connection whatever they are reached through.
OPENERS = {
    *("open_connection", "create_connection", "open_unix_connection", "create_unix_connection", "create_datagram_endpoint"),
    *("sock_connect", "sock_sendto", "start_tls", "urlopen", "urlretrieve", "getaddrinfo", "connect_tcp"),
}


def complaints(source: str, path: str = "hybridrt/some.py") -> list[str]:
    """What in this source could open a connection and may not."""
    if path == TRANSPORT:
        return []
    forbidden = CLIENTS | PARSERS | SOCKETS
    if path == PARSER:
        forbidden = forbidden - {"httpcore2"}
    if path.startswith(KIT):
        forbidden = forbidden - SOCKETS - {"h11"}
    return [
        f"{path}:{node.lineno}: {name}"
        for node in ast.walk(ast.parse(source))
        for name in _names(node)
        if name in OPENERS or any(name == word or name.startswith(word + ".") for word in forbidden)
    ]


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from (alias.name for alias in node.names if alias.name in OPENERS)
    elif isinstance(node, ast.Attribute):
        if node.attr in OPENERS:
            yield node.attr
        if isinstance(node.value, ast.Name):
            dotted = f"{node.value.id}.{node.attr}"
            if dotted in CLIENTS:
                yield dotted
    elif isinstance(node, ast.Name) and node.id in OPENERS:
        yield node.id
    elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
        "import_module",
        "__import__",
        "getattr",
        "load_module",
    ):
        # import_module("socket"), __import__("socket"), getattr(asyncio, "open_connection")
        yield from (
            word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str) and " " not in word.value
        )


def _product() -> list[Path]:
    return sorted(path for folder in ("hybridrt", "cloud_adapters") for path in (ROOT / folder).rglob("*.py"))


def test_no_other_file_can_open_a_connection():
    found = [line for path in _product() for line in complaints(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())]
    assert found == []


def test_the_transport_is_there_and_would_be_found_if_it_stood_elsewhere():
    source = (ROOT / TRANSPORT).read_text("utf-8")
    assert {line.rpartition(" ")[2] for line in complaints(source)} >= {"socket", "ssl", "create_connection", "getaddrinfo"}


def test_only_the_kit_and_the_command_line_know_the_kit():
    for path in _product():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith((KIT, "hybridrt/cli/")):
            assert "hybridrt.testing" not in path.read_text("utf-8"), name


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "import ssl as s",
        "import httpx2",
        "from httpx2 import AsyncClient",
        "import httpcore2._async",
        "import http.client",
        "from http import client",
        "import urllib.request",
        "from urllib import request",
        "import urllib\nurllib.request.urlopen('x')",
        "from urllib.request import urlopen as fetch",
        "import aiohttp",
        "import requests",
        "import openai",
        "def f():\n    import anthropic",
        "import asyncio\nasyncio.open_connection('h', 1)",
        "from asyncio import open_connection",
        "from asyncio.streams import StreamReader",
        "async def f(loop): await loop.create_connection(P, 'h', 1)",
        "async def f(loop, s): await loop.sock_connect(s, a)",
        "import asyncio\ngetattr(asyncio, 'open_connection')",
        "from importlib import import_module\nimport_module('socket')",
        "__import__('httpx2')",
        "import h11",
    ],
)
def test_a_file_that_opens_its_own_connection_is_caught(source):
    assert complaints(source)


@pytest.mark.parametrize(
    "source",
    [
        "from urllib.parse import urlsplit",
        "import asyncio\nasyncio.create_task(f())",
        "import http",
        "text = 'a socket is opened elsewhere'",
        "self.request(call)",
        "from hybridrt.egress.transport import Transport",
    ],
)
def test_a_file_that_opens_nothing_is_left_alone(source):
    assert complaints(source) == []


def test_the_kit_may_listen_and_not_connect():
    assert complaints("import ssl, socket\nasyncio.start_server(f)", KIT + "provider.py") == []
    assert complaints("asyncio.open_connection('h', 1)", KIT + "provider.py")
    assert complaints("import httpx2", KIT + "provider.py")
