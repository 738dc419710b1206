"""The page on requests and answers: each block runs, and prints what stands below it."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
from pathlib import Path

import pytest

from hybridrt.plan import DECLARED_FIELDS
from hybridrt.policy.vocabulary import FIELDS, LABELS
from hybridrt.request import ONLY, RequestOptions

PAGE = Path(__file__).parents[1] / "docs" / "requests.md"
BLOCK = re.compile(r"^```python( setup)?\n(.*?)^```$(?:\s*It prints:\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
FOUND = [(bool(setup), code, printed) for setup, code, printed in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
(SETUP,) = (code for is_setup, code, _ in FOUND if is_setup)
BLOCKS = [(code, printed) for is_setup, code, printed in FOUND if not is_setup]


def steady(text: str) -> str:
    """The same text without what differs from run to run and from machine to machine: ids, digests, ends of lines."""
    return re.sub(r"\b(d-)?[0-9a-f]{12,}\b", "ID", text).strip()


async def output_of(code: str) -> str:
    """Run a block as its reader does: inside an `async def`, where the router is open."""
    names: dict[str, object] = {}
    exec(SETUP, names)
    shown = io.StringIO()
    async with names["opened_router"]() as given:
        names.update(given)
        with contextlib.redirect_stdout(shown):
            # The page is ours, and `exec` hands back no coroutine to await.
            done = eval(compile(code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307
            if inspect.iscoroutine(done):
                await done
    return shown.getvalue()


@pytest.mark.parametrize(("code", "printed"), BLOCKS, ids=range(len(BLOCKS)))
async def test_a_block_runs_and_prints_what_stands_below_it(code, printed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "")  # a block sets it; this puts it back
    assert steady(await output_of(code)) == steady(printed)


def test_every_block_says_what_it_prints():
    assert len(BLOCKS) > 15
    assert all(printed.strip() for _, printed in BLOCKS)


@pytest.mark.parametrize("option", sorted(RequestOptions.__annotations__))
def test_every_option_of_a_request_is_on_the_page(option):
    text = PAGE.read_text(encoding="utf-8")
    assert f"{option}=" in text or f"`{option}`" in text


@pytest.mark.parametrize(
    ("option", "words"),
    [*((name, FIELDS[name].values) for name in DECLARED_FIELDS), ("labels", tuple(LABELS))],
    ids=lambda each: str(each)[:20],
)
def test_the_words_of_a_declaration_are_on_the_page_and_no_others(option, words):
    (row,) = re.findall(rf"^\| `{option}` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(words)


@pytest.mark.parametrize("only", ONLY)
def test_every_word_of_only_is_on_the_page(only):
    assert f'`"{only}"`' in PAGE.read_text(encoding="utf-8")


def test_every_error_on_the_page_exists():
    import hybridrt.errors

    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| .* \| .* \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(names) > 12
    assert all(issubclass(getattr(hybridrt.errors, name), hybridrt.errors.HybridrtError) for name in names)
