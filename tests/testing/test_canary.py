"""The detector detects: a canary is found in every form in which it is leaked on purpose."""

import base64
import gzip
import json
import logging
import random
import urllib.parse
import zlib

import httpx2
import pytest

from hybridrt.testing import LoopbackProvider, canaries, watch
from hybridrt.testing.canary import MANY, Search, present

CANARY = canaries(1)[0]
TEXT = CANARY.text


LEAKS = {
    "plain": lambda t: f"xx{t}xx".encode(),
    "plain, other case": lambda t: f"xx{t.upper()}xx".encode(),
    "utf-16-le": lambda t: "xx".encode("utf-16-le") + t.encode("utf-16-le"),
    "utf-16-le, other case": lambda t: t.upper().encode("utf-16-le"),
    "utf-16-be": lambda t: t.encode("utf-16-be"),
    "hex": lambda t: b"xx" + t.encode().hex().encode(),
    "url-escaped": lambda t: "".join(f"%{byte:02x}" for byte in t.encode()).encode(),
    "json-escaped": lambda t: ('"' + "".join(f"\\u{ord(c):04X}" for c in t) + '"').encode(),
    "base64 at offset 0": lambda t: base64.b64encode(f"{t} and more".encode()),
    "base64 at offset 1": lambda t: base64.b64encode(f"x{t} and more".encode()),
    "base64 at offset 2": lambda t: base64.b64encode(f"xy{t} and more".encode()),
    "gzip, plain": lambda t: b"head" + gzip.compress(f"xx{t}".encode()) + b"tail",
    "zlib, plain": lambda t: b"head" + zlib.compress(f"xx{t}".encode()),
    "gzip, base64 at offset 1": lambda t: gzip.compress(base64.b64encode(f"x{t}...".encode())),
    "gzip, gzip, plain": lambda t: gzip.compress(gzip.compress(t.encode())),
}


@pytest.mark.parametrize(("form", "leak"), LEAKS.items(), ids=LEAKS)
def test_each_leak_is_found_and_named(form, leak):
    assert form in CANARY.search(leak(TEXT))


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_another_canary_is_not_found(leak):
    assert CANARY.search(leak(canaries(1)[0].text)) == ()


@pytest.mark.parametrize("others", [0, 1, MANY])
def test_many_canaries_at_once_are_found_as_each_by_itself(others):
    planted = (CANARY, *canaries(others))
    data = b" ".join(leak(canary.text) for canary in planted[:2] for leak in LEAKS.values())
    assert Search(planted).forms(data) == {canary: canary.search(data) for canary in planted[:2]}


@pytest.mark.parametrize("count", [0, 1, MANY - 1, MANY, 2 * MANY])
def test_what_stands_in_the_data_is_told_however_many_are_looked_for(count):
    dice = random.Random(count)
    data = "".join(dice.choices("ab", k=5_000))
    needles = ["".join(dice.choices("ab", k=dice.randint(1, 20))) for _ in range(count)]
    assert present(needles, data) == {needle for needle in needles if needle in data}
    assert present([each.encode() for each in needles], data.encode()) == {each.encode() for each in needles if each in data}


@pytest.mark.parametrize("case", [str, str.upper, str.capitalize, str.title])
@pytest.mark.parametrize("offset", range(6))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_found_at_every_offset_and_case(encode, offset, case):
    data = encode(b"\xfb\xff" * 3 + b"z" * offset + case(TEXT).encode() + b"\xff\xfb")
    assert any(form.startswith("base64") for form in CANARY.search(data))


@pytest.mark.parametrize(
    "data",
    [
        json.dumps({"q": f"say {TEXT}"}).encode(),
        urllib.parse.quote(f"say {TEXT}").encode(),
        urllib.parse.urlencode({"q": TEXT}).encode(),
        f"<{TEXT}>".encode("utf-8-sig"),
    ],
)
def test_ordinary_writers_do_not_hide_it(data):
    assert CANARY.search(data)


def test_pieces_of_a_stream_are_found_when_joined():
    pieces = [f"xx{TEXT}xx".encode()[at : at + 3] for at in range(0, len(TEXT) + 4, 3)]
    assert not any(CANARY.search(piece) for piece in pieces)
    assert CANARY.search(b"".join(pieces))


def test_broken_compression_and_noise_are_no_sightings():
    for data in (b"", b"\x1f\x8b\x08", gzip.compress(b"x" * 100)[:20], b"\x78\x9c" * 50, bytes(range(256)) * 20):
        assert CANARY.search(data) == ()


def test_a_bomb_is_not_inflated_whole():
    assert CANARY.search(zlib.compress(b"\0" * 20_000_000)) == ()


def test_canaries_are_words_that_differ():
    made = canaries(200)
    assert len({canary.text for canary in made}) == 200
    assert all(canary.text.replace("-", "").isalpha() and canary.text.islower() for canary in made)
    assert all(canary.text not in repr(canary) for canary in made)


# --- the watch -----------------------------------------------------------------------------------------------------


async def test_the_wire_is_watched_even_where_chunks_part_a_canary():
    one, other = canaries(2)

    async def pieces():
        yield one.text[:5].encode()
        yield one.text[5:].encode()

    async with LoopbackProvider() as provider, httpx2.AsyncClient(trust_env=False) as http:
        with watch([one, other], providers=[provider]) as watching:
            await http.post(provider.endpoint + "/x", content=pieces())
            seen = watching.sightings("wire")
            assert [(each.canary, each.form) for each in seen] == [(0, "plain")]
            assert seen[0].where == "wire 0 request 0"
            await http.post(provider.endpoint + "/x", json={}, headers={"x-leak": other.text})
            assert {(each.canary, each.where) for each in watching.sightings("wire")} >= {(1, "wire 0 connection 0")}
            assert not any(one.text in repr(each) for each in seen)


def test_files_and_their_names_are_watched(tmp_path):
    with watch([CANARY], folders=[tmp_path]) as watching:
        assert watching.sightings() == []
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "cache.bin").write_bytes(gzip.compress(TEXT.encode()))
        assert [each.where for each in watching.sightings("file")] == ["file 0 deep/cache.bin"]
        (tmp_path / "deep" / "cache.bin").unlink()
        (tmp_path / f"{TEXT}.txt").touch()
        assert [each.where for each in watching.sightings("file")] == ["file 0 name of a file"]


def by_message(logger):
    logger.debug("about " + TEXT)  # noqa: G003


def by_argument(logger):
    logger.info("about %s", TEXT)


def by_argument_that_is_not_shown(logger):
    logger.info("about %.0s", TEXT)


def by_extra(logger):
    logger.warning("about", extra={"prompt": TEXT})


def by_exception(logger):
    try:
        raise ValueError(TEXT)
    except ValueError:
        logger.exception("failed")


@pytest.mark.parametrize("leak", [by_message, by_argument, by_argument_that_is_not_shown, by_extra, by_exception])
@pytest.mark.parametrize("name", ["app", "httpx2", "app.quiet"])
def test_logs_are_watched_at_debug_whatever_the_logger_was_set_to(leak, name):
    quiet = logging.getLogger("app.quiet")
    quiet.setLevel(logging.CRITICAL)
    quiet.propagate = False
    logging.disable(logging.ERROR)
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    try:
        with watch([CANARY]) as watching:
            assert watching.sightings() == []
            leak(logging.getLogger(name))
            assert {(each.canary, each.where) for each in watching.sightings("log")} == {(0, f"log {name}")}
        assert quiet.level == logging.CRITICAL
        assert quiet.handlers == []
        assert (root.level, list(root.handlers)) == before
        assert logging.root.manager.disable == logging.ERROR
    finally:
        logging.disable(logging.NOTSET)
        quiet.propagate = True
        quiet.setLevel(logging.NOTSET)


def test_more_can_be_looked_at():
    with watch([CANARY]) as watching:
        watching.look_at("screen", f"printed {TEXT}")
        watching.look_at("database", b"nothing")
        assert [each.where for each in watching.sightings()] == ["screen"]
