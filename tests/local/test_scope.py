"""What was computed for one user is not found again by another one, and what is sensitive is kept for nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import combinations

import pytest

from hybridrt import Router
from hybridrt.local.factory import placeholder
from hybridrt.local.host import HostedBackend
from hybridrt.local.llama import LlamaBackend
from hybridrt.policy.facts import Facts
from hybridrt.request import Request
from hybridrt.scope import scope_of
from tests.local.conftest import make_call, say
from tests.local.toy import Toy, toy_backend

LONG = "The quick brown fox jumps over the lazy dog and comes back. " * 12
PUBLIC = Facts(sensitivity="public")
ASKED = Request((), tenant="clinic", user="ana", conversation="1")


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        (replace(ASKED, tenant="other"), PUBLIC),
        (replace(ASKED, user="ben"), PUBLIC),
        (replace(ASKED, tenant="clinicana", user=""), PUBLIC),
        (ASKED, Facts(sensitivity="internal")),
        (ASKED, replace(PUBLIC, present=frozenset({"health"}))),
        (ASKED, replace(PUBLIC, unknown=frozenset({"health"}))),
    ],
)
def test_a_scope_ends_at_a_tenant_a_user_a_sensitivity_and_a_label(request_, facts) -> None:
    assert scope_of(ASKED, PUBLIC) not in (None, scope_of(request_, facts))


def test_what_is_not_sensitive_is_shared_between_the_conversations_of_a_user() -> None:
    assert scope_of(ASKED, PUBLIC) == scope_of(replace(ASKED, conversation="2"), PUBLIC)


@pytest.mark.parametrize("sensitivity", ["confidential", "special", "unknown"])
def test_what_is_sensitive_or_may_be_is_found_by_its_own_conversation_alone(sensitivity: str) -> None:
    facts = Facts(sensitivity=sensitivity)
    assert scope_of(replace(ASKED, conversation=""), facts) is None
    scopes = [scope_of(request, facts) for request in (ASKED, replace(ASKED, conversation="2"), replace(ASKED, user="ben"))]
    assert None not in scopes
    assert all(one != other for one, other in combinations(scopes, 2))


async def test_a_call_shows_no_name_of_its_scope() -> None:
    call = make_call("Hello", scope=scope_of(ASKED, PUBLIC))
    assert "ana" in (call.scope or "")
    assert "ana" not in repr(call)


@pytest.mark.parametrize("make", [LlamaBackend, lambda path: HostedBackend("llama", path)], ids=["inside", "process"])
async def test_a_prompt_is_found_again_within_its_scope_and_nowhere_else(make) -> None:
    backend = make(placeholder())
    try:
        reused = [
            (await say(backend, LONG, max_output_tokens=1, scope=scope)).usage.cached_input_tokens for scope in ("a", "b", "a", None, None)
        ]
    finally:
        await backend.close()
    assert reused[2] > 0
    assert [reused[at] for at in (0, 1, 3, 4)] == [0] * 4


@pytest.mark.parametrize("keeps_answers", [False, True])
async def test_an_answer_without_a_scope_leaves_no_state_behind(keeps_answers: bool) -> None:
    toy = Toy(slots=2, window=200)
    backend = toy_backend(toy, prefix_bytes=100_000, keeps_answers=keeps_answers)
    await say(backend, "x" * 40, max_output_tokens=20, scope=None)
    assert toy.snapshots == 0
    await say(backend, "x" * 40, max_output_tokens=20, scope="a")
    assert toy.snapshots == 1
    await backend.close()
    assert toy.snapshots == 0


async def test_no_router_tells_a_user_what_another_one_asked(tmp_path) -> None:
    (tmp_path / "hybridrt.yaml").write_text(f"hybridrt: 1\nmodels: {{chat: {{path: {placeholder()}}}}}\n")
    async with Router.open(tmp_path / "hybridrt.yaml") as router:

        async def reused(**who) -> int:
            answer = await router.infer(LONG, only="device", max_output_tokens=1, sensitivity="public", labels=[], **who)
            return answer.usage.cached_input_tokens

        assert await reused(tenant="a", user="ana") == 0
        assert await reused(tenant="a", user="ana") > 0
        assert await reused(tenant="a", user="ben") == 0
        assert await reused(tenant="b", user="ana") == 0


async def test_all_scopes_share_one_budget() -> None:
    toy = Toy(slots=1, window=64)
    backend = toy_backend(toy, prefix_bytes=1000)
    await asyncio.gather(*(say(backend, "x" * 40, max_output_tokens=1, scope=str(number)) for number in range(9)))
    assert toy.snapshots <= 2
    await backend.close()
