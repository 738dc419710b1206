"""A third-party adapter is one class in one file and one entry-point line."""

import importlib.metadata
import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

from hybridrt.errors import TargetError
from hybridrt.event import Finish, Text, Usage
from hybridrt.request import Tool
from hybridrt.testing import Sample, adapter_contract
from hybridrt.testing.outcome import read
from tests.adapters.wire import JSON, a_call

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_adapter"
REPLY = json.dumps({"words": "Hello, wörld.", "tokens": {"in": 3, "out": 4}, "why": "done"}).encode()


@pytest.fixture
def murmur():
    spec = importlib.util.spec_from_file_location("murmur", EXAMPLE / "murmur.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Murmur


def test_it_is_under_thirty_lines_with_its_entry_point():
    lines = (EXAMPLE / "murmur.py").read_text(encoding="utf-8").splitlines()
    registered = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]["hybridrt.adapters"]
    assert len(lines) + len(registered) < 30
    assert registered == {"murmur": "murmur:Murmur"}


def test_its_entry_point_is_found_and_loads(tmp_path, monkeypatch):
    # What an installer writes from the example's pyproject.
    info = tmp_path / "hybridrt_murmur-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hybridrt-murmur\nVersion: 0.1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[hybridrt.adapters]\nmurmur = murmur:Murmur\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    (found,) = importlib.metadata.entry_points(group="hybridrt.adapters", name="murmur")
    assert found.load().__name__ == "Murmur"


def test_it_holds_the_adapter_contract(murmur):
    adapter_contract(murmur, [Sample(REPLY, "Hello, wörld.")])


@pytest.mark.parametrize("option", [{"temperature": 0.5}, {"seed": 1}, {"stop": ("x",)}, {"tools": (Tool("t", "", {}),)}])
def test_what_its_wire_cannot_say_is_refused(murmur, option):
    with pytest.raises(TargetError, match=f"no `{next(iter(option))}`"):
        murmur().build(a_call(**option), None)


def test_it_says_and_reads_its_wire(murmur):
    request = murmur().build(a_call(), "k-1")
    assert (request.path, dict(request.headers)["x-murmur-key"]) == ("/speak", "k-1")
    assert json.loads(request.body) == {"model": "model-9", "turns": [{"who": "user", "words": "hello"}], "most_tokens": None}
    events, error = read(murmur(), a_call(), JSON, [REPLY])
    assert error is None
    assert [type(event) for event in events] == [Text, Usage, Finish]
