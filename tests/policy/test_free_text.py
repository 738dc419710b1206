"""A line of free text is one line, and what is seen of it is what it says."""

from __future__ import annotations

import pytest

from hybridrt.errors import PolicyError
from hybridrt.policy import load
from tests.policy.test_bad_input import DEVICE, written

RULE = "  - {id: r, effect: forbid, when: always, to: {kind: cloud}, "
CLOUD = DEVICE + '  - {id: c, kind: cloud, adapter: openai, endpoint: "https://a.example/v1", '
PLACES = {
    "version": DEVICE + "version: @\n",
    "owner": DEVICE + "owner: @\n",
    "approved_by": DEVICE + "approved_by: [@]\n",
    "because": DEVICE + "rules:\n" + RULE + "because: @}\n",
    "cites": DEVICE + "rules:\n" + RULE + "cites: [@]}\n",
    "legal_entity": CLOUD + "legal_entity: @}\n",
    "ref": CLOUD + "dpa: {ref: @}}\n",
    "claim": DEVICE + "never:\n  - {id: c, claim: {reaches: {kind: cloud}}, because: @}\n",
    "test": DEVICE + "tests:\n  - {name: @, request: {}, expect: {outcome: stays}}\n",
}
HIDDEN = [r"\n", r"\r", r"\t", r"\e[31m", r"\0", r"\x7f", r"\x9b", r"\N", r"\L", r"\P", r"\u202e", r"\u2066", r"\u200b", r"\ufeff"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mark", HIDDEN)
def test_no_line_break_and_no_hidden_character_comes_in_even_as_an_escape(tmp_path, place, mark):
    with pytest.raises(PolicyError) as caught:
        load(written(tmp_path, PLACES[place].replace("@", f'"a{mark}b"')))
    assert caught.value.detail == "character"
    assert caught.value.line >= 4
    assert not set(str(caught.value)) & set("\x1b\x9b\u202e\r\0")


@pytest.mark.parametrize("place", PLACES)
def test_text_of_every_script_and_a_folded_block_are_let_in(tmp_path, place):
    assert load(written(tmp_path, PLACES[place].replace("@", '"Zürich\u00a0東京 नमस्\u200dते"')))
    folded = DEVICE + "owner: >\n  the team\n  of support\n"
    assert load(written(tmp_path, folded)).owner == "the team of support"


def test_a_block_of_several_lines_is_not_a_line(tmp_path):
    with pytest.raises(PolicyError, match="line break"):
        load(written(tmp_path, DEVICE + "owner: |\n  the team\n  of support\n"))
