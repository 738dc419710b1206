"""The application's own file, `hybridrt.yaml`: which models, which keys, which policy.

The policy owns who may receive and on what terms; this file owns how. It holds no key, only where keys come from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from hybridrt.allowance import MOST_RETRIES, Budget, Rates, Timeouts, read_budget, read_rates, read_timeouts
from hybridrt.errors import ApplicationFileError, PolicyError
from hybridrt.target import Place, Price

if TYPE_CHECKING:
    from hybridrt.policy.tree import Node

DEFAULT_POLICY = "private-first"
MODALITIES = ("text", "image")
# What may be said of power instead of naming processors.
POWER = ("saving", "balanced", "performance")
# Where a local model runs: in the process of the application, or in one of its own.
ISOLATIONS = ("none", "process")
MAX_MODELS = 64
# One waiting line per model: at a few seconds an answer, the sixteenth caller already waits for a minute.
DEFAULT_QUEUE = 16
# A host, or with `*.` in front every host below it; never all hosts.
_HOST = re.compile(r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d{1,5})?\Z")


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this device: a file, or the name of a model of the store, and the backend that reads it."""

    id: str
    path: Path = Path()
    backend: str = "llama"
    window: int | None = None
    threads: int | None = None
    store: str = ""
    # For nets: processors in the order of preference, or a wish about power.
    providers: tuple[str, ...] = ()
    power: str | None = None
    isolation: str = "none"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where `hybridrt models pull` may fetch from: a hub or a plain server, and the hosts it may lead to."""

    id: str
    endpoint: str
    hosts: tuple[str, ...] = ()
    place: Place = Place.CLOUD
    is_hub: bool = True
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """How a recipient of the policy is used: the model to ask for, where its key comes from, what it costs.

    What is none about the model comes from the catalogue (`hybridrt.window.catalogue`), where it knows the model.
    """

    recipient: str
    # Empty where only vectors are asked for, or where a server nearby is asked which one it has.
    model: str
    key: str | None = None
    window: int | None = None
    max_output_tokens: int | None = None
    modalities: frozenset[str] | None = None
    price: Price | None = None
    # Ask the server which models it serves before it is asked anything else; without a `model` the only one is meant.
    discover: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)
    rates: Rates = field(default_factory=Rates)
    # How often at most one request is tried again on it; none for the default.
    retries: int | None = None
    # The model that makes vectors there, where that is another one.
    embed: str = ""


@dataclass(frozen=True, slots=True)
class ProxyPlace:
    """The proxy of a company: everything off this device and off the local network goes through it. `key` is where its login is."""

    url: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Sensing:
    """What the device looks at more closely: the labels of the own pair of models, names by the tagger, and statements by the net."""

    calibration: Path | None = None
    tagger: bool = False


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """A certificate that `hybridrt calibrate answers` wrote, and how it is used.

    `audit` is the share of the answers under it that are drawn at random to be judged: by a person, who is asked by the
    application, or by a stronger model, which the router asks as far as the policy allows.
    """

    file: Path
    model: str
    task: str | None = None
    audit: float = 0.0
    audits_by_cloud: bool = False


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What local models may hold; what is none is chosen by the engine.

    `slots`: answers of one model at once. `keep_alive_s`: an unused model goes after so long; 0 for never. `memory_bytes`: all models
    together. `prefix_bytes`: states of prompts of one model.
    """

    slots: int | None = None
    keep_alive_s: int | None = None
    memory_bytes: int | None = None
    prefix_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """The content of an application file. Made by `read_application`, or by hand in tests."""

    policies: tuple[str | PathLike[str], ...] = (DEFAULT_POLICY,)
    models: tuple[LocalModel, ...] = ()
    bindings: tuple[Binding, ...] = ()
    ledger: Path | None = None
    sense: Sensing = Sensing()
    queue: int = DEFAULT_QUEUE
    engine: EngineLimits = EngineLimits()
    budget: Budget = field(default_factory=Budget)
    store: Path | None = None
    sources: tuple[ModelSource, ...] = ()
    proxy: ProxyPlace | None = None
    certificates: tuple[CertificateFile, ...] = ()
    # Where each binding stands in the file, for messages about it.
    places: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_application(path: str | PathLike[str]) -> Application:
    """Read an application file.

    Raises:
        ApplicationFileError: with file, line, column and what to do.
    """
    from hybridrt.policy.tree import parse, read_bytes

    file = Path(path)
    try:
        return _application(parse(read_bytes(file), file.name), file.parent)
    except PolicyError as error:
        # The reader of policy files finds the place; what is wrong there is wrong in this file.
        raise ApplicationFileError(
            error.what.replace("the policy", "the application file"),
            file=error.file,
            line=error.line,
            column=error.column,
            hint="start from the example in the README" if error.detail in ("unreadable", "empty") else error.hint,
            code=error.detail,
        ) from None


def _application(root: Node, folder: Path) -> Application:
    keys = root.mapping(
        "the application file",
        (
            *("hybridrt", "policy", "models", "recipients", "near_edge", "ledger", "engine", "sense", "store", "sources"),
            *("certificates", "budget", "proxy"),
        ),
    )
    if "hybridrt" not in keys:
        root.fail("the first line must say which form of the file this is", hint="begin with `hybridrt: 1`")
    if keys["hybridrt"].whole("`hybridrt`") != 1:
        keys["hybridrt"].fail("this form of the file is not known", hint="write `hybridrt: 1`")
    bindings, places = [], {}
    if "recipients" in keys:
        for name, node in keys["recipients"].mapping("`recipients`").items():
            bindings.append(_binding(name, node, folder))
            places[name] = f"{node.file}:{node.line}"
    if "near_edge" in keys:
        bindings = _discovering(keys["near_edge"], bindings, places)
    models = [_model(name, node, folder) for name, node in _named(keys, "models")]
    for model in models:
        if model.id in places:
            keys["models"].key(model.id).fail(f"`{model.id}` is also a recipient", hint="give the model another name")
    return Application(
        policies=_policies(keys["policy"], folder) if "policy" in keys else (DEFAULT_POLICY,),
        models=tuple(models),
        bindings=tuple(bindings),
        ledger=folder / keys["ledger"].text("`ledger`") if "ledger" in keys else None,
        sense=_sense(keys["sense"], folder) if "sense" in keys else Sensing(),
        queue=_queue(keys["engine"]) if "engine" in keys else DEFAULT_QUEUE,
        engine=_engine(keys["engine"]) if "engine" in keys else EngineLimits(),
        budget=read_budget(keys["budget"]) if "budget" in keys else Budget(),
        store=folder / keys["store"].text("`store`") if "store" in keys else None,
        sources=tuple(_source(name, node, folder) for name, node in _named(keys, "sources")),
        proxy=_proxy(keys["proxy"], folder) if "proxy" in keys else None,
        certificates=_certificates(keys["certificates"], folder) if "certificates" in keys else (),
        places=MappingProxyType(places),
    )


def _named(keys: dict[str, Node], name: str) -> list[tuple[str, Node]]:
    if name not in keys:
        return []
    entries = keys[name].mapping(f"`{name}`")
    if len(entries) > MAX_MODELS:
        keys[name].fail(f"`{name}` has {len(entries)} entries; at most {MAX_MODELS} are read")
    return list(entries.items())


def _policies(node: Node, folder: Path) -> tuple[str | PathLike[str], ...]:
    entries = node.items("`policy`", 16) if isinstance(node.value, list) else [node]
    if not entries:
        node.fail("`policy` names none", hint=f"write `policy: {DEFAULT_POLICY}`")
    return tuple(_policy(entry.text("`policy`"), folder) for entry in entries)


def _policy(name: str, folder: Path) -> str | PathLike[str]:
    """A word without a suffix is a shipped pack; anything else is a path beside this file."""
    return folder / name if any(mark in name for mark in "/\\.") else name


def _model(name: str, node: Node, folder: Path) -> LocalModel:
    keys = node.mapping(f"model `{name}`", ("path", "store", "backend", "window", "threads", "providers", "power", "isolation"))
    if "path" not in keys and "store" not in keys:
        node.fail(f"model `{name}` has no `path`", hint="name its file: `path: models/qwen.gguf`, or a model of the store: `store: qwen`")
    if "path" in keys and "store" in keys:
        node.key("store").fail(f"model `{name}` has a `path` and a `store`", hint="keep one of them")
    path = folder / keys["path"].text("`path`") if "path" in keys else Path()
    backend = keys["backend"].text("`backend`") if "backend" in keys else "onnx" if path.suffix == ".onnx" else "llama"
    for key in ("providers", "power"):
        if key in keys and backend == "llama" and "path" in keys:
            node.key(key).fail(f"`{key}` is for nets; a language model runs where llama.cpp was built for", hint="remove it")
    if "providers" in keys and "power" in keys:
        node.key("power").fail("`providers` and `power` are two ways to say where a net runs", hint="keep one")
    if "isolation" in keys and backend == "onnx":
        keys["isolation"].fail("a net runs in the process of the application", hint="remove `isolation`; it is for language models")
    return LocalModel(
        id=name,
        path=path,
        store=keys["store"].text("`store`") if "store" in keys else "",
        backend=backend,
        window=keys["window"].whole("`window`", 100_000_000, least=1) if "window" in keys else None,
        threads=keys["threads"].whole("`threads`", 1024, least=1) if "threads" in keys else None,
        providers=tuple(entry.text("a provider") for entry in keys["providers"].items("`providers`", 16)) if "providers" in keys else (),
        power=keys["power"].word("`power`", POWER) if "power" in keys else None,
        isolation=keys["isolation"].word("`isolation`", ISOLATIONS) if "isolation" in keys else "none",
    )


def _source(name: str, node: Node, folder: Path) -> ModelSource:
    from hybridrt.egress.recipient import wrong_endpoint

    keys = node.mapping(f"source `{name}`", ("hub", "server", "hosts", "place", "key"))
    if ("hub" in keys) == ("server" in keys):
        node.fail(
            f"source `{name}` is one of a `hub` or a `server`", hint="write `hub: https://HOST`, or `server: https://HOST` for plain files"
        )
    endpoint = keys["hub" if "hub" in keys else "server"]
    place = Place(keys["place"].word("`place`", ("near_edge", "private_cloud", "cloud"))) if "place" in keys else Place.CLOUD
    scheme = ("https://", "http://") if place is Place.NEAR_EDGE else ("https://",)
    if not endpoint.text("its address").startswith(scheme):
        endpoint.fail(f"the address of source `{name}` is no https URL", hint="write `https://HOST`; plain http is for `place: near_edge`")
    if wrong := wrong_endpoint(endpoint.text("its address"), place):
        endpoint.fail(f"the address of source `{name}` {wrong}", hint="write `https://HOST`; a key is named with `key: env:NAME`")
    hosts = []
    for entry in keys["hosts"].items("`hosts`", 64) if "hosts" in keys else []:
        host = entry.text("a host")
        if not _HOST.match(host):
            entry.fail(f"`{host}` is no host", hint="write `cdn.example.com`, or `*.example.com` for all below it")
        hosts.append(host)
    return ModelSource(
        id=name,
        endpoint=endpoint.text("its address"),
        hosts=tuple(hosts),
        place=place,
        is_hub="hub" in keys,
        key=_key_source(keys["key"], folder) if "key" in keys else None,
    )


def _proxy(node: Node, folder: Path) -> ProxyPlace:
    from hybridrt.egress.proxy import wrong_proxy

    keys = node.mapping("`proxy`", ("url", "key")) if isinstance(node.value, dict) else {"url": node}
    if "url" not in keys:
        node.fail("`proxy` has no `url`", hint="write `proxy: http://HOST:PORT`")
    url = keys["url"].text("the address of the proxy")
    if wrong := wrong_proxy(url):
        # A login may stand in it: it is not quoted.
        keys["url"].fail(
            f"the address of the proxy {wrong}", hint="write `{url: http://HOST:PORT, key: env:NAME}`; the key is USER:PASSWORD"
        )
    return ProxyPlace(url, _key_source(keys["key"], folder) if "key" in keys else None)


_BINDING = (
    *("model", "embed", "key", "window", "max_output_tokens", "modalities", "input_usd_per_mtok", "output_usd_per_mtok"),
    *("timeouts", "limits", "retries"),
)


def _binding(name: str, node: Node, folder: Path) -> Binding:
    keys = node.mapping(f"recipient `{name}`", _BINDING)
    if "model" not in keys and "embed" not in keys:
        node.fail(f"recipient `{name}` has no `model`", hint="name the model to ask for: `model: ...`")
    for key in ("model", "embed"):
        if key in keys and not keys[key].text(f"`{key}`").strip():
            keys[key].fail(f"`{key}` of recipient `{name}` is empty", hint=f"name the model, or remove `{key}`")
    price = None
    if "input_usd_per_mtok" in keys or "output_usd_per_mtok" in keys:
        for key in ("input_usd_per_mtok", "output_usd_per_mtok"):
            if key not in keys:
                node.fail(f"recipient `{name}` has half a price", hint=f"add `{key}`")
        price = Price(keys["input_usd_per_mtok"].amount("a price"), keys["output_usd_per_mtok"].amount("a price"))
    modalities = keys["modalities"].items("`modalities`", 2) if "modalities" in keys else []
    return Binding(
        recipient=name,
        model=keys["model"].text("`model`") if "model" in keys else "",
        embed=keys["embed"].text("`embed`") if "embed" in keys else "",
        key=_key_source(keys["key"], folder) if "key" in keys else None,
        window=keys["window"].whole("`window`", 100_000_000, least=1) if "window" in keys else None,
        max_output_tokens=(
            keys["max_output_tokens"].whole("`max_output_tokens`", 100_000_000, least=1) if "max_output_tokens" in keys else None
        ),
        modalities=frozenset(entry.word("`modalities`", MODALITIES) for entry in modalities) or None,
        price=price,
        timeouts=read_timeouts(keys["timeouts"]) if "timeouts" in keys else Timeouts(),
        rates=read_rates(keys["limits"]) if "limits" in keys else Rates(),
        retries=keys["retries"].whole("`retries`", MOST_RETRIES) if "retries" in keys else None,
    )


def _discovering(node: Node, bindings: list[Binding], places: dict[str, str]) -> list[Binding]:
    """Mark the recipients that are asked for their models, and bind those that nothing else binds."""
    from hybridrt.policy.tree import clip

    keys = node.mapping("`near_edge`", ("discover",))
    if "discover" not in keys:
        node.fail("`near_edge` has no `discover`", hint="list recipients of the policy: `discover: [llama-server]`")
    entries = keys["discover"].items("`discover`", MAX_MODELS)
    if not entries:
        keys["discover"].fail("`discover` names nobody", hint="list recipients of the policy, or remove `near_edge`")
    named: dict[str, Node] = {}
    for entry in entries:
        name = entry.text("a recipient")
        if name in named:
            entry.fail(f"`{clip(name)}` is already named on line {named[name].line}", hint="keep one of the two")
        named[name] = entry
    for name, entry in named.items():
        places.setdefault(name, f"{entry.file}:{entry.line}")
    bound = {binding.recipient for binding in bindings}
    return [
        *(replace(binding, discover=binding.recipient in named) for binding in bindings),
        *(Binding(name, "", discover=True) for name in named if name not in bound),
    ]


def _key_source(node: Node, folder: Path) -> str:
    """Where a key comes from. A key itself in the file would be read by everybody who reads the file."""
    source = node.text("`key`")
    if source.partition(":")[0] not in ("env", "keyring", "file") or not source.partition(":")[2]:
        # What stands here may be a key: it is not quoted.
        node.fail("`key` says where the key comes from, and is not the key", hint="write `env:NAME`, `keyring:NAME` or `file:PATH`")
    if source.startswith("file:") and not source.startswith("file:~"):
        return f"file:{folder / source.removeprefix('file:')}"
    return source


def _certificates(node: Node, folder: Path) -> tuple[CertificateFile, ...]:
    found: dict[tuple[str, str], CertificateFile] = {}
    for entry in node.items("`certificates`", MAX_MODELS):
        keys = entry.mapping("a certificate", ("file", "model", "task", "audit", "audit_by"))
        for key in ("file", "model"):
            if key not in keys:
                entry.fail(f"a certificate has no `{key}`", hint="such as `{file: invoices.json, model: qwen}`")
        audit = keys["audit"].amount("`audit`") if "audit" in keys else 0.0
        if not 0 <= audit <= 1:
            keys["audit"].fail("`audit` is a share of answers from 0 to 1", hint="0.02 draws one in fifty")
        model, task = keys["model"].text("`model`"), keys["task"].text("`task`") if "task" in keys else None
        file = folder / keys["file"].text("`file`")
        # Two without a task may be about two: that is in the files.
        what = task or str(file)
        if (model, what) in found:
            entry.fail("this model and task have a certificate already", hint="keep one of the two")
        by_cloud = "audit_by" in keys and keys["audit_by"].word("`audit_by`", ("person", "cloud")) == "cloud"
        found[model, what] = CertificateFile(file, model, task, audit, by_cloud)
    return tuple(found.values())


def _sense(node: Node, folder: Path) -> Sensing:
    keys = node.mapping("`sense`", ("calibration", "tagger"))
    return Sensing(
        calibration=folder / keys["calibration"].text("`calibration`") if "calibration" in keys else None,
        tagger=keys["tagger"].truth("`tagger`") if "tagger" in keys else False,
    )


_ENGINE = ("queue", "slots", "keep_alive_s", "memory_mb", "prefix_mb")


def _queue(node: Node) -> int:
    keys = node.mapping("`engine`", _ENGINE)
    return keys["queue"].whole("`queue`", 100_000, least=1) if "queue" in keys else DEFAULT_QUEUE


def _engine(node: Node) -> EngineLimits:
    keys = node.mapping("`engine`", _ENGINE)

    def number(name: str, most: int, *, least: int = 0, unit: int = 1) -> int | None:
        return keys[name].whole(f"`{name}`", most, least=least) * unit if name in keys else None

    return EngineLimits(
        slots=number("slots", 64, least=1),
        keep_alive_s=number("keep_alive_s", 10_000_000),
        memory_bytes=number("memory_mb", 100_000_000, least=1, unit=1_000_000),
        # None at all: each prompt is read anew.
        prefix_bytes=number("prefix_mb", 100_000_000, unit=1_000_000),
    )
