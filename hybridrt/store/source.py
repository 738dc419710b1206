"""Where models come from: a hub or a plain server, and the hosts it may lead to. Nothing is fetched from any other host."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from urllib.parse import quote, unquote, urljoin, urlsplit

from hybridrt.egress.recipient import wrong_address
from hybridrt.errors import DownloadRefused, MissingModelError, ProtocolError, StoreError
from hybridrt.store.record import KINDS
from hybridrt.target import Place

# OWNER/REPO, then `:` and a part of the file's name, then `@` and a revision.
_REFERENCE = re.compile(r"(?P<repo>[\w.-]{1,96}/[\w.-]{1,96})(?::(?P<file>[^@]{1,200}))?(?:@(?P<revision>[\w./-]{1,100}))?\Z", re.ASCII)
_LICENCE = re.compile(r"license:([a-zA-Z0-9][a-zA-Z0-9.+_-]{0,63})\Z")
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf\Z")


@dataclass(frozen=True, slots=True)
class Source:
    """Who serves files. `hosts` are those it may lead to, beside its own; `key` is the secret itself, for its own host alone."""

    id: str
    endpoint: str
    hosts: tuple[str, ...] = ()
    place: Place = Place.CLOUD
    is_hub: bool = True
    key: str | None = None

    def __repr__(self) -> str:
        return f"Source({self.id!r}, {self.endpoint!r})"

    def allows(self, host: str, port: int) -> bool:
        """May something be fetched from there?"""
        return any(_matches(listed, host.lower(), port) for listed in (_authority(self.endpoint), *self.hosts))

    def key_for(self, host: str, port: int) -> str | None:
        """The key, for the source's own host and no other."""
        return self.key if _matches(_authority(self.endpoint), host.lower(), port) else None

    def remedy(self, host: str) -> str:
        """What to do about a host that is not listed."""
        setting = f"{self.id}: {{hosts: [{host}]}}" if self.is_hub else f"NAME: {{server: 'https://{host}'}}"
        return f"if you trust it: --allow-host {host}, or under `sources:` in the application file, `{setting}`"


@dataclass(frozen=True, slots=True)
class Reference:
    """A file of a repository as a person names it: `owner/repo:Q4_K_M@main`."""

    repo: str
    file: str = ""
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a hub lists it; the digest is the hub's own word for what it serves."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: the same bytes at each of the URLs, tried in order."""

    urls: tuple[str, ...]
    file: str
    digest: str | None = None
    size: int | None = None
    licence: str = ""
    source: str = ""

    @property
    def kind(self) -> str:
        """By the ending of its name."""
        return kind_of(self.file)


def kind_of(file: str) -> str:
    """The kind of a model file, by its ending.

    Raises:
        StoreError: it has none of those that are known.
    """
    kind = file.rpartition(".")[2].lower()
    if kind not in KINDS:
        raise StoreError(f"`{file}` is neither a GGUF nor an ONNX file by its name", hint="give a file that ends with .gguf or .onnx")
    return kind


def shipped_sources() -> Mapping[str, Source]:
    """The hubs that are known without an application file; a person is asked before any of them is used."""
    told = json.loads((files("hybridrt.store") / "sources.json").read_text(encoding="utf-8"))
    return {name: Source(name, each["endpoint"], tuple(each["hosts"])) for name, each in told.items() if not name.startswith("_")}


def read_reference(text: str) -> Reference | None:
    """Read `owner/repo:file@revision`; none where it is something else."""
    found = _REFERENCE.match(text)
    if found is None:
        return None
    return Reference(found["repo"], found["file"] or "", found["revision"] or "main")


def for_urls(urls: tuple[str, ...], listed: Mapping[str, Source], allowed: tuple[str, ...]) -> Source:
    """Make the source of plain addresses: their hosts must stand in the application file or have been confirmed.

    Raises:
        DownloadRefused: one does not, or is no address.
    """
    check_addresses(urls)
    for source in listed.values():
        if all(source.allows(*_place(url)) for url in urls):
            return source
    hosts = [*allowed]
    for source in listed.values():
        hosts += [_authority(source.endpoint), *source.hosts]
    first = urlsplit(urls[0])  # `check_addresses` has seen it
    made = Source(first.hostname or "", f"{first.scheme}://{first.netloc}", tuple(hosts), is_hub=False)
    for url in urls:
        host, port = _place(url)
        if not any(_matches(known, host, port) for known in hosts):
            raise DownloadRefused(f"no source lists `{host}`; nothing was sent to it", host=host, hint=made.remedy(host))
    return made


def check_addresses(urls: tuple[str, ...]) -> None:
    """Raise unless each is an address of a file. None is repeated in the error: it may hold a password.

    Raises:
        DownloadRefused: one is not.
    """
    for number, url in enumerate(urls, 1):
        wrong = wrong_address(url) or ("" if unquote(urlsplit(url).path).isprintable() else "names a file that cannot be shown")
        if wrong:
            key = "; a key is named under `sources:` in the application file" if wrong == "holds a user name" else ""
            which = f"address {number}" if len(urls) > 1 else "the address"
            raise DownloadRefused(f"{which} {wrong}; nothing was sent", host="", hint=f"write https://HOST/PATH{key}")


def widened(source: Source, hosts: tuple[str, ...]) -> Source:
    """The same source with more hosts it may lead to."""
    return replace(source, hosts=(*source.hosts, *hosts))


# ---- what a hub says, in its documented words


def revision_url(source: Source, reference: Reference) -> str:
    """Where a hub says which commit a revision is."""
    return f"{source.endpoint.rstrip('/')}/api/models/{reference.repo}/revision/{quote(reference.revision, safe='')}"


def tree_url(source: Source, repo: str, commit: str) -> str:
    """Where a hub lists the files of a commit."""
    return f"{source.endpoint.rstrip('/')}/api/models/{repo}/tree/{commit}?recursive=true"


def file_url(source: Source, repo: str, commit: str, path: str) -> str:
    """Where a hub serves a file."""
    return f"{source.endpoint.rstrip('/')}/{repo}/resolve/{commit}/{quote(path)}"


def read_revision(body: bytes) -> tuple[str, str]:
    """Read commit and licence.

    Raises:
        ProtocolError: this is not what a hub says.
    """
    told = _json(body)
    if not isinstance(told, dict):
        raise ProtocolError("the hub named no commit", sent=True)
    commit = told.get("sha")
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        raise ProtocolError("the hub named no commit", sent=True)
    tags = told.get("tags")
    found = (_LICENCE.match(tag) for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    return commit, next((licence[1] for licence in found if licence), "")


def read_tree(body: bytes) -> list[Listed]:
    """Read one page of a listing.

    Raises:
        ProtocolError: this is not what a hub says.
    """
    told = _json(body)
    if not isinstance(told, list):
        raise ProtocolError("the hub listed no files", sent=True)
    found = []
    for entry in told:
        if not isinstance(entry, dict) or entry.get("type") != "file":
            continue
        path, size, lfs = entry.get("path"), entry.get("size"), entry.get("lfs")
        lfs = lfs if isinstance(lfs, dict) else {}
        digest = lfs.get("oid") or lfs.get("sha256")
        size = lfs.get("size", size)
        if not isinstance(path, str) or not _is_plain(path) or not isinstance(size, int) or size < 0:
            continue
        is_digest = isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest)
        found.append(Listed(path, size, digest if is_digest else None))
    return found


def _is_plain(path: str) -> bool:
    """Can a person read this path, and does it stay in its repository? What a hub says is shown on a terminal."""
    return path.isprintable() and "\\" not in path and not any(part in ("", ".", "..") for part in path.split("/"))


def next_page(page: str, headers: Mapping[str, str]) -> str | None:
    """The address of the page after this one, where there is one."""
    found = re.search(r'<([^>]{1,2000})>;\s*rel="next"', headers.get("link", ""))
    try:
        return urljoin(page, found[1]) if found else None
    except ValueError:
        raise ProtocolError("the hub named no next page that is a URL", sent=True) from None


def choose(files_: list[Listed], reference: Reference) -> Listed:
    """Choose the one model file that is meant.

    Raises:
        MissingModelError: none fits, or several do; the hint lists them.
    """
    models = [file for file in files_ if file.path.lower().endswith((".gguf", ".onnx")) and "mmproj" not in file.path.lower()]
    exact = [file for file in models if file.path == reference.file]
    fits = exact or [file for file in models if reference.file.lower() in file.path.lower()]
    if len(fits) == 1 and not _PART.search(fits[0].path):
        return fits[0]
    if fits and all(_PART.search(file.path) for file in fits):
        what, hint = "is there only in several parts", "take another file, or join the parts (llama-gguf-split --merge) and add the result"
    else:
        shown = [f"  {file.path}  {file.size / 1e9:.2f} GB" for file in sorted(fits or models, key=lambda file: file.size)[:40]]
        what = "has several model files" if fits else ("has no such file" if models else "has no GGUF or ONNX file")
        example = (fits or models)[0].path if models else ""
        hint = "\n".join([f"say which, as in {reference.repo}:{example}", *shown]) if models else "look for a GGUF or ONNX conversion of it"
    raise MissingModelError(f"`{reference.repo}` {what}", model=reference.repo, hint=hint)


def _json(body: bytes) -> object:
    try:
        told: object = json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("the hub answered with something that is no JSON", sent=True) from None
    return told


def _authority(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    host = (parts.hostname or "").lower()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _place(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return "", 0


def _matches(listed: str, host: str, port: int) -> bool:
    inner, bracket, rest = listed.lower().removeprefix("[").partition("]")
    name, _, wanted = (inner, "", rest.removeprefix(":")) if bracket else listed.lower().partition(":")
    # Plain http is for the local network alone, which the transport sees to.
    if str(port) not in ((wanted,) if wanted else ("443", "80")):
        return False
    # `*.` stands for one or more names in front, and never for none.
    return host.endswith(name[1:]) and len(host) > len(name) - 1 if name.startswith("*.") else host == name
