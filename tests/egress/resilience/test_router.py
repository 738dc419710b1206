"""Resilience from the public door to the wire: what the application file says holds, and shows."""

from __future__ import annotations

import asyncio

import pytest

from hybridrt.errors import (
    BudgetError,
    CredentialsError,
    LateError,
    MissingError,
    OpenBreakerError,
    OverLimitError,
    RefusedByPolicy,
    TargetError,
    UnavailableError,
)
from hybridrt.testing.replies import fail, say, silence, slowly, stall
from tests.egress.resilience.opened import ASK, opened

PARIS = say("Paris.")
PRICED = "input_usd_per_mtok: 1000, output_usd_per_mtok: 2000"


async def fails(router, times=1, **options):
    found = []
    for _ in range(times):
        with pytest.raises(Exception) as caught:  # noqa: PT011  which one it was is looked at by the caller
            await router.infer(ASK, only="off_device", **options)
        found.append(caught.value)
    return found


async def test_row_39_an_open_breaker_is_out_of_the_plan_with_its_reason_and_in_the_status(tmp_path):
    async with opened(tmp_path, {"alpha": fail(500), "beta": PARIS}, terms={"alpha": "retries: 0"}) as (router, providers):
        for _ in range(5):
            assert (await router.infer(ASK)).target == "beta"
        assert len(providers["alpha"].requests) == 5
        answer = await router.infer(ASK)
        assert answer.target == "beta"
        assert [attempt.target for attempt in answer.attempts] == ["beta"]
        assert "breaker is open" in next(refusal.reason for refusal in answer.decision.refusals if refusal.recipient == "alpha")
        assert len(providers["alpha"].requests) == 5
        alpha, beta = (next(t for t in router.status().targets if t.id == name) for name in ("alpha", "beta"))
        assert (alpha.usable, alpha.breaker, beta.breaker) == (False, "open", "closed")
        assert "breaker is open" in alpha.reason


async def test_an_open_breaker_does_not_empty_a_plan_and_says_when_to_come_back(tmp_path):
    async with opened(tmp_path, {"alpha": fail(500)}, terms={"alpha": "retries: 0"}) as (router, providers):
        await fails(router, 5)
        (error,) = await fails(router)
        assert isinstance(error, OpenBreakerError)
        assert isinstance(error, UnavailableError)
        assert 0 < error.retry_after_s <= 2.5
        assert len(providers["alpha"].requests) == 5


async def test_an_open_breaker_leads_no_request_where_the_policy_does_not_send_failures(tmp_path):
    routing = "{id: one, order: [cloud, device], escalate: {when: [busy]}}"
    async with opened(tmp_path, {"alpha": fail(500), "beta": PARIS}, terms={"alpha": "retries: 0"}, routing=routing) as (router, providers):
        for error in await fails(router, 7):
            assert isinstance(error, UnavailableError)
        assert len(providers["alpha"].requests) == 5
        assert providers["beta"].connections == []


async def test_a_retry_shows_among_the_attempts_and_in_the_ledger(tmp_path):
    async with opened(tmp_path, {"alpha": PARIS}, ledger="ledger.jsonl") as (router, providers):
        providers["alpha"].next(fail(503))
        answer = await router.infer(ASK, only="off_device")
        assert [attempt.outcome for attempt in answer.attempts] == ["unavailable", "answered"]
        assert len(providers["alpha"].requests) == 2
        assert (tmp_path / "ledger.jsonl").read_text().count('"attempt_ended"') == 2


async def test_retries_can_be_switched_off(tmp_path):
    async with opened(tmp_path, {"alpha": fail(503)}, terms={"alpha": "retries: 0"}) as (router, providers):
        await fails(router)
        assert len(providers["alpha"].requests) == 1


@pytest.mark.parametrize(
    ("script", "timeouts", "budget_s"),
    [
        (silence(), "{first_byte_s: 0.3}", 0.3),
        (stall(PARIS, 0), "{between_chunks_s: 0.3}", 0.3),
        (stall(PARIS, 60), "{between_chunks_s: 0.3}", 0.3),
        (slowly(PARIS, 0.1), "{total_s: 0.6}", 0.6),
    ],
    ids=["no head", "head, then silence", "stall", "a byte at a time"],
)
@pytest.mark.parametrize("door", ["infer", "stream"])
async def test_row_40_what_dawdles_ends_in_a_typed_error_by_the_recipients_own_bounds(tmp_path, script, timeouts, budget_s, door):
    async with opened(tmp_path, {"alpha": script}, terms={"alpha": f"timeouts: {timeouts}"}) as (router, providers):
        async with asyncio.timeout(20):
            if door == "infer":
                (error,) = await fails(router)
            else:
                with pytest.raises(TargetError) as caught:
                    async for _ in router.stream(ASK, only="off_device"):
                        pass
                error = caught.value
        assert isinstance(error, LateError)
        assert error.sent
        assert error.budget_s == pytest.approx(budget_s, abs=0.05)
        assert len(providers["alpha"].requests) == 1


async def test_row_40_the_next_of_the_plan_answers_in_the_time_that_is_left(tmp_path):
    scripts = {"alpha": silence(), "beta": PARIS}
    async with opened(tmp_path, scripts, terms={"alpha": "timeouts: {first_byte_s: 0.3}"}) as (router, _):
        answer = await router.infer(ASK, deadline_s=20.0)
        assert [attempt.outcome for attempt in answer.attempts] == ["late", "answered"]


async def test_limits_of_rate_are_busy_and_the_next_answers(tmp_path):
    terms = {"alpha": "limits: {requests_per_minute: 6}"}
    async with opened(tmp_path, {"alpha": PARIS, "beta": PARIS}, terms=terms) as (router, providers):
        first, second = await router.infer(ASK), await router.infer(ASK)
        assert (first.target, second.target) == ("alpha", "beta")
        assert second.attempts[0].outcome == "over_limit"
        assert len(providers["alpha"].requests) == 1


async def test_a_limit_alone_is_typed_with_a_time(tmp_path):
    async with opened(tmp_path, {"alpha": PARIS}, terms={"alpha": "limits: {requests_per_minute: 6}"}) as (router, _):
        await router.infer(ASK, only="off_device")
        (error,) = await fails(router)
        assert isinstance(error, OverLimitError)
        assert 0 < error.retry_after_s <= 10.0


async def test_what_a_day_may_cost_is_kept_and_a_new_router_knows_what_was_spent(tmp_path):
    def again():
        return opened(
            tmp_path,
            {"alpha": PARIS},
            terms={"alpha": PRICED},
            more="budget: {usd_per_day: 1.2}\n",
            ledger="ledger.jsonl",
        )

    async with again() as (router, providers):
        spent = 0.0
        while len(providers["alpha"].requests) < 20:
            try:
                spent += (await router.infer(ASK, only="off_device", max_output_tokens=10)).cost_usd
            except BudgetError as error:
                assert error.limit_usd == 1.2
                assert error.committed_usd == pytest.approx(spent)
                break
        sends = len(providers["alpha"].requests)
        assert 1 <= sends < 20
        assert spent <= 1.2
    async with again() as (router, providers):
        (error,) = await fails(router, max_output_tokens=10)
        assert isinstance(error, BudgetError)
        assert error.committed_usd == pytest.approx(spent)
        assert providers["alpha"].connections == []


async def test_one_tenant_cannot_spend_what_belongs_to_another(tmp_path):
    more = "budget: {usd_per_tenant_day: 1.2}\n"
    async with opened(tmp_path, {"alpha": PARIS}, terms={"alpha": PRICED}, more=more) as (router, _):
        ask = {"only": "off_device", "max_output_tokens": 10}
        said = await asyncio.gather(*(router.infer(ASK, tenant="acme", **ask) for _ in range(20)), return_exceptions=True)
        refused = [each for each in said if isinstance(each, BudgetError)]
        assert 1 <= len(refused) < 20
        assert all("one tenant" in str(error) for error in refused)
        assert (await router.infer(ASK, tenant="other", **ask)).text == "Paris."


async def test_what_a_request_may_cost_joins_what_the_policy_says(tmp_path):
    async with opened(tmp_path, {"alpha": PARIS}, terms={"alpha": PRICED}, more="budget: {usd_per_request: 0.01}\n") as (router, providers):
        (error,) = await fails(router, max_output_tokens=1000)
        assert isinstance(error, RefusedByPolicy)
        assert "more than 0.01" in error.hint
        assert providers["alpha"].connections == []


async def test_who_has_no_price_is_not_asked_under_a_budget(tmp_path):
    async with opened(tmp_path, {"alpha": PARIS}, more="budget: {usd_per_day: 5}\n") as (router, providers):
        (error,) = await fails(router)
        assert isinstance(error, MissingError)
        assert "input_usd_per_mtok" in error.hint
        assert providers["alpha"].connections == []
        assert "price" in next(t.reason for t in router.status().targets if t.id == "alpha")


async def test_row_47_a_key_that_was_changed_is_read_again_and_used_once(tmp_path):
    def only_the_new(received):
        is_new = received.headers.get("authorization") == "Bearer sk-new"
        return PARIS(received) if is_new else fail(401)

    async with opened(tmp_path, {"alpha": only_the_new, "beta": PARIS}) as (router, providers):
        (tmp_path / "alpha.key").write_text("sk-new", encoding="utf-8")
        answer = await router.infer(ASK)
        assert (answer.target, [attempt.outcome for attempt in answer.attempts]) == ("alpha", ["credentials", "answered"])
        assert [request.headers["authorization"] for request in providers["alpha"].requests] == ["Bearer sk-of-alpha", "Bearer sk-new"]
        assert (await router.infer(ASK)).attempts[0].outcome == "answered", "and kept"


async def test_row_47_a_key_that_is_still_refused_is_not_sent_again_nor_anybody_elses(tmp_path):
    async with opened(tmp_path, {"alpha": fail(401), "beta": PARIS}) as (router, providers):
        (error,) = await fails(router)
        assert isinstance(error, CredentialsError)
        assert len(providers["alpha"].requests) == 1
        assert b"sk-of-beta" not in providers["alpha"].received
        assert providers["beta"].connections == []


async def test_row_54_two_hundred_requests_with_everything_down_are_at_most_a_fifth_more_sends(tmp_path):
    async with opened(tmp_path, {"alpha": fail(500), "beta": fail(503), "gamma": fail(502)}) as (router, providers):
        for _ in range(20):
            await asyncio.gather(*(router.infer(ASK, only="off_device") for _ in range(10)), return_exceptions=True)
        assert sum(len(provider.requests) for provider in providers.values()) <= 1.2 * 200
