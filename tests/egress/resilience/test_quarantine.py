"""Row 46: who answers from elsewhere than is declared gets nothing more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud_adapters.azure_region import region_of
from hybridrt.errors import QuarantineError
from hybridrt.testing.replies import Received, Reply, say
from tests.egress.resilience.opened import ASK, opened

PARIS = say("Paris.")


def from_region(name: str):
    def answer(received: Received) -> Reply:
        made = PARIS(received)
        return replace(made, headers=(*made.headers, ("x-ms-region", name)))

    return answer


def azure(tmp_path, scripts):
    return opened(tmp_path, scripts, adapter="azure-openai", facts=", region: eu")


async def test_row_46_another_region_is_an_alert_and_nothing_more_is_sent(tmp_path, caplog):
    async with azure(tmp_path, {"alpha": from_region("East US 2"), "beta": from_region("Sweden Central")}) as (router, providers):
        answer = await router.infer(ASK)
        assert answer.target == "beta"
        assert [attempt.outcome for attempt in answer.attempts] == ["quarantined", "answered"]
        assert "nothing more is sent there" in caplog.text
        again = await router.infer(ASK)
        assert [attempt.target for attempt in again.attempts] == ["beta"]
        assert len(providers["alpha"].requests) == 1
        alpha = next(target for target in router.status().targets if target.id == "alpha")
        assert not alpha.usable
        assert "declared with the region `eu` and answered from `us`" in alpha.reason


async def test_row_46_alone_it_is_a_typed_error_with_both_names(tmp_path):
    async with azure(tmp_path, {"alpha": from_region("West US")}) as (router, _):
        with pytest.raises(QuarantineError) as caught:
            await router.infer(ASK, only="off_device")
        assert (caught.value.fact, caught.value.declared, caught.value.found) == ("region", "eu", "us")
        assert caught.value.sent


async def test_a_region_that_is_declared_or_unknown_is_no_alert(tmp_path):
    for name in ("France Central", "West Europe", "Somewhere New", ""):
        async with azure(tmp_path, {"alpha": from_region(name)}) as (router, _):
            assert (await router.infer(ASK, only="off_device")).text == "Paris."


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("West Europe", "eu"),
        ("Germany West Central", "eu"),
        ("Austria East", "eu"),
        ("East US 2", "us"),
        ("Australia East", "au"),
        ("Switzerland North", "ch"),
        ("UK South", "uk"),
        ("Southeast Asia", "sg"),
        ("East Asia", "other"),
        ("Norway East", "other"),
        ("eastus2", None),
        ("", None),
    ],
)
def test_regions_of_azure_in_the_words_of_a_policy(name, region):
    assert region_of(name) == region
