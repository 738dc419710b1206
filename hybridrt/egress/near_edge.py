"""A server on this machine or its network: it is asked which models it serves before it is asked anything else.

A llama-server, LM Studio or vLLM serves what it holds. Ollama also passes requests for some of its models on to a cloud of its
own, behind the same port: there only a model that it lists as lying on its disk is asked, and any other is refused before
a word of the request is sent. An Ollama may stand at any port, so whoever is bound by hand is asked as well; a server that has no
list, or another list than Ollama's, is asked for the model that is bound. The question has a permit of its own and holds nothing
of the request.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from hybridrt.backend import Call
from hybridrt.egress.cloud import CloudBackend, Terms
from hybridrt.egress.gate import Gate
from hybridrt.egress.resilience.traffic import Traffic
from hybridrt.egress.transport import Transport
from hybridrt.errors import ProtocolError, RejectedError, TargetError, UnsupportedError
from hybridrt.event import Event, Finish
from hybridrt.key import Key
from hybridrt.target import Target
from hybridrt.wire import Adapter, HttpRequest, ReplyHead

# Models come and go by hand; a question a minute is nothing, and after a minute a model that was removed is noticed.
KNOWN_S = 60.0
# A model that lies on a disk has weights; the entry of one that runs elsewhere is a few hundred bytes.
_LEAST_WEIGHT_BYTES = 1_000_000
# What Ollama says in the OpenAI form of its list, and the port it has everywhere.
_OLLAMA_OWNER, _OLLAMA_PORT = "library", 11434
_MAX_LIST_BYTES = 4 * 1024 * 1024
_MAX_MODELS = 4096
# How a server says that it has no such page.
_NO_PAGE = (404, 405)


class _NoListError(ProtocolError):
    """What came is no list of models."""


@dataclass(frozen=True, slots=True)
class Served:
    """One model of a server's list. `is_local` is none where the list does not say."""

    name: str
    owner: str = ""
    is_local: bool | None = None


class NearEdgeBackend:
    """A recipient nearby, and what it was found to serve."""

    def __init__(
        self,
        target: Target,
        adapter: Adapter,
        key: Key | None,
        *,
        gate: Gate,
        transport: Transport,
        traffic: Traffic | None = None,
        terms: Terms | None = None,
        discover: bool = True,
    ) -> None:
        """With `discover` the model must be in the server's list; without a model in the target, the only one there is meant.

        Raises:
            UnavailableError: the endpoint cannot be pinned.
            UnsupportedError: the model's name says that it runs in Ollama's cloud.
        """
        if is_cloud_name(target.model):
            raise _elsewhere(target, target.model)
        root = replace(target, endpoint=_root(target.endpoint or ""))
        self._target = target
        self._root = root
        self._is_by_hand = not discover and bool(target.model) and not is_ollama(target)
        # One server, so one breaker for what it is asked and what it lists.
        traffic = traffic or Traffic()
        self._answering = CloudBackend(target, adapter, key, gate=gate, transport=transport, traffic=traffic, terms=terms)
        free = replace(terms or Terms(), is_billed=False, holds_request=False)
        self._listing = CloudBackend(target, _List("/models"), key, gate=gate, transport=transport, traffic=traffic, terms=free)
        self._ollama = CloudBackend(root, _OllamaList("/api/tags"), key, gate=gate, transport=transport, traffic=traffic, terms=free)
        self._model = ""
        self._is_listed = False
        self._known_until = 0.0
        self._fault = ""

    @property
    def note(self) -> str:
        """What was found."""
        return f"serves {self._model}" if self._model and self._is_listed else ""

    @property
    def fault(self) -> str:
        """Why nothing was found when it was last asked."""
        return self._fault

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Find the model, then answer as any recipient; see `hybridrt.backend.Backend`.

        Raises:
            UnsupportedError: it serves no such model, several, or one that runs elsewhere; nothing of the request was sent.
            TargetError, EgressError: as any recipient.
        """
        model = await self.find_model(call)
        asked = replace(call, target=replace(call.target, model=model))
        async with aclosing(self._answering.answer(asked)) as events:
            async for event in events:
                yield event

    async def find_model(self, call: Call) -> str:
        """Return the model to ask for. The server is asked at most once a minute, under the clearance of this call.

        Raises:
            UnsupportedError, TargetError, EgressError: as `answer`.
        """
        if self._model and time.monotonic() < self._known_until:
            return self._model
        self._model = ""
        try:
            self._model, self._is_listed = await self._chosen(call)
        except TargetError as error:
            self._fault = str(error)
            error.target = error.target or self._target.id
            raise
        self._fault, self._known_until = "", time.monotonic() + KNOWN_S
        return self._model

    async def close(self) -> None:
        """Hold nothing: the connections are the transport's."""

    async def _chosen(self, call: Call) -> tuple[str, bool]:
        """The model to ask for, and whether the server listed it."""
        question = replace(call, messages=(), tools=(), output=None, stream=False)
        served: Sequence[Served] | None = None
        shows_ollama, may_be_ollama = True, True
        if not is_ollama(self._target):
            served = await self._list_of(self._listing, replace(question, target=self._target))
            shows_ollama = any(one.owner == _OLLAMA_OWNER or is_cloud_name(one.name) for one in served or ())
            may_be_ollama = served is None or any(_is_namespaced(one) for one in served)
        if shows_ollama or may_be_ollama:
            # Where nothing but the form of a name speaks for an Ollama, its own list is what tells.
            listed = await self._list_of(self._ollama, replace(question, target=self._root), must=shows_ollama)
            if listed is not None:
                return choose(listed, self._target), True
        if not self._is_by_hand:
            return choose(served or (), self._target), True
        return self._target.model, any(one.name == self._target.model for one in served or ())

    async def _list_of(self, backend: CloudBackend, question: Call, *, must: bool = False) -> Sequence[Served] | None:
        """A list, or none where the server has no such page and its list is not needed."""
        try:
            return await _asked(backend, question)
        except (RejectedError, _NoListError) as error:
            is_needed = must or (backend is self._listing and not self._is_by_hand)
            if is_needed or (isinstance(error, RejectedError) and error.status not in _NO_PAGE):
                raise
            return None


def is_ollama(target: Target) -> bool:
    """Is this an Ollama, which may pass requests on by itself? One on another port shows in its list."""
    return target.adapter == "ollama" or urlsplit(target.endpoint or "").port == _OLLAMA_PORT


def is_cloud_name(model: str) -> bool:
    """Does the name say that the model runs in Ollama's cloud (`gpt-oss:120b-cloud`, `x:cloud`)?"""
    return model.strip().lower().endswith(("-cloud", ":cloud"))


def _is_namespaced(one: Served) -> bool:
    """Is the owner a part of the name, as Ollama lists what somebody other than its library made (`ana/mine:latest`)?"""
    return bool(one.owner) and one.owner in one.name.split("/")


def _elsewhere(target: Target, model: str) -> UnsupportedError:
    return UnsupportedError(
        f"what `{target.id}` would answer with, `{model}`, is not listed as local: it may run in a cloud",
        feature="local model",
        target=target.id,
        hint="pull a model that runs there, or bind the cloud as the recipient it is, such as `ollama-cloud`",
    )


def choose(served: Sequence[Served], target: Target) -> str:
    """Return the model to ask for: the one that is bound, or else the only one there.

    Raises:
        UnsupportedError: there is no such model, there are several, or it runs elsewhere.
    """
    fits = [one for one in served if not target.model or one.name in (target.model, f"{target.model}:latest")]
    if not fits:
        what = f"does not serve `{target.model}`" if target.model else "serves no model"
        raise UnsupportedError(f"`{target.id}` {what}", feature="model", hint="load it there, or bind another `model`")
    local = [one for one in fits if one.is_local is not False and not is_cloud_name(one.name)]
    if not local:
        raise _elsewhere(target, fits[0].name)
    if len(local) > 1:
        raise UnsupportedError(
            f"`{target.id}` serves {len(local)} models",
            feature="model",
            hint=f"name one under `recipients`: {{{target.id}: {{model: ...}}}}",
        )
    return local[0].name


async def _asked(backend: CloudBackend, call: Call) -> Sequence[Served]:
    found: Sequence[Served] = ()
    async with aclosing(backend.answer(call)) as events:
        async for event in events:
            if isinstance(event, Finish):
                found = event.parsed
    return found


def _root(endpoint: str) -> str:
    """The server without the path of its API."""
    parts = urlsplit(endpoint)
    return urlunsplit((parts.scheme, parts.netloc, "", "", ""))


class _List:
    """The question which models there are, as an adapter: the OpenAI form."""

    def __init__(self, path: str) -> None:
        self._path = path

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Ask, without a body."""
        headers = (("authorization", f"Bearer {key}"),) if key else ()
        return HttpRequest(self._path, b"", (("accept", "application/json"), *headers), "GET")

    def decoder(self, call: Call, head: ReplyHead) -> _ListDecoder:
        """Read the list when all of it is there."""
        return _ListDecoder(self)

    def read(self, body: object) -> list[Served]:
        """Take the list apart."""
        rows = body.get("data") if isinstance(body, dict) else None
        return [Served(name, str(row.get("owned_by", ""))) for row in _rows(rows) if isinstance(name := row.get("id"), str)]


class _OllamaList(_List):
    """The same in Ollama's own form, which says where a model is."""

    def read(self, body: object) -> list[Served]:
        """Take the list apart; what does not prove to be here is not here."""
        rows = body.get("models") if isinstance(body, dict) else None
        return [Served(name, _OLLAMA_OWNER, _lies_here(name, row)) for row in _rows(rows) if isinstance(name := row.get("name"), str)]


def _lies_here(name: str, row: dict[str, object]) -> bool:
    size = row.get("size")
    is_remote = bool(row.get("remote_host") or row.get("remote_model")) or is_cloud_name(name)
    return not is_remote and isinstance(size, int) and size >= _LEAST_WEIGHT_BYTES


def _rows(rows: object) -> Iterable[dict[str, object]]:
    if isinstance(rows, list) and len(rows) > _MAX_MODELS:
        raise ProtocolError(f"the list of models has more than {_MAX_MODELS} entries")
    if not isinstance(rows, list):
        raise _NoListError("the list of models is no list")
    return (row for row in rows if isinstance(row, dict))


class _ListDecoder:
    """Gathers one JSON body."""

    def __init__(self, form: _List) -> None:
        self._form = form
        self._body = bytearray()

    def feed(self, data: bytes) -> Iterable[Event]:
        """Keep the bytes, within a bound."""
        self._body += data
        if len(self._body) > _MAX_LIST_BYTES:
            raise ProtocolError(f"the list of models has more than {_MAX_LIST_BYTES} bytes")
        return ()

    def end(self) -> Iterable[Event]:
        """Read it."""
        try:
            body = json.loads(self._body)
        except (ValueError, RecursionError):
            body = None
        if body is None:
            raise _NoListError("the list of models is no JSON")
        return (Finish("stop", parsed=tuple(self._form.read(body))),)
