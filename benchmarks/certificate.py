"""Does the certificate keep its promise, and what does it cost? One JSON object as the last line.

    python -m benchmarks.certificate [--draws 500] [--rows 1300] [--seed 1]

Simulation: a model that is right four times in five, whose confidence overlaps between right and wrong answers, so that the
true error at every threshold is known. `broken_share` is the share of draws of the labels in which the certified threshold lets more
than `alpha` errors through (the worst of three cases); `naive_broken_share` the same for the loosest threshold that held on the labels
themselves (the best of the three). `coverage_over_oracle` is the mean coverage beside that of who knows the true distribution, at
alpha 0.10 and 2,000 labels.

Real outputs: the factory model answers requests of people and of phrasings that it never learned from, through the router. A
certificate is made of random halves and looked at on the others, for its own confidence and for one fitted to free signals.

Cascade: the same router under `escalate: {unless: {certified: 0.10}}` with a certificate made of the first rows, on the others;
the cloud is a provider on loopback that knows the right answers and has a price. `cost_share` and `quality_kept` are beside asking
that cloud for all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import os
import random
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.factory import HUMAN, NOW, plain, read_rows
from hybridrt.answer import Answer
from hybridrt.application import Application, Binding, CertificateFile, LocalModel
from hybridrt.backend import Backend
from hybridrt.confidence.binding import bind
from hybridrt.confidence.calibrate import Labelled, calibrate, confidence_of
from hybridrt.confidence.gather import Row, gather
from hybridrt.confidence.issued import Issued
from hybridrt.confidence.threshold import naive_threshold
from hybridrt.errors import HybridrtError
from hybridrt.local.action.backend import ActionBackend
from hybridrt.local.factory import actions
from hybridrt.router import Router
from hybridrt.target import Price
from hybridrt.testing import LoopbackProvider, MemoryLedger, TestAuthority
from hybridrt.testing.replies import Received, Reply, Said, as_json, whole
from training.factory_llm.rows import meant_rows

ALPHA, DELTA = 0.10, 0.05
TASK = "actions"
# Of the rows, so many make the certificate of the cascade.
MAKING = 0.6
SPLITS = 200
KEY = "HYBRIDRT_BENCHMARK_KEY"
POLICY = """\
hybridrt_policy: 1
name: cascade
version: 1.0.0
owner: benchmarks
recipients:
  - {id: on-device, kind: local}
  - {id: alpha, kind: cloud, adapter: openai, endpoint: "https://alpha.example/v1", region: eu, retention_days: 0}
rules:
  - {id: all, effect: permit, when: always, to: {kind: cloud}}
routing:
  - id: certified
    order: [device, cloud]
"""
CERTIFIED = "    escalate: {unless: {certified: 0.10}}\n"
RIGHT = 0.8
# By so many standard deviations right answers are surer than wrong ones; then 54 % can be served at 5 % errors, 81 % at 10 %.
APART = 1.5
CASES = ((500, 0.10), (2000, 0.05), (2000, 0.10))


def above(threshold: float) -> float:
    """The share of a normal distribution above a threshold."""
    return math.erfc(threshold / math.sqrt(2)) / 2


def truth(threshold: float | None) -> tuple[float, float]:
    """The true coverage and error at a threshold."""
    if threshold is None:
        return 0.0, 0.0
    right, wrong = RIGHT * above(threshold - APART), (1 - RIGHT) * above(threshold)
    return right + wrong, wrong / (right + wrong)


def oracle(alpha: float) -> float:
    """The coverage of the loosest threshold whose true error is `alpha`."""
    low, high = -6.0, 6.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if truth(middle)[1] > alpha else (low, middle)
    return truth(high)[0]


def simulate(draws: int, n: int, alpha: float, rng: random.Random) -> dict[str, float]:
    """Draw labels again and again, and look at what each draw would have promised."""
    broken = naive_broken = none = 0
    coverage = 0.0
    for _ in range(draws):
        labels = []
        for _ in range(n):
            is_right = rng.random() < RIGHT
            labels.append(Labelled(None, float(not is_right), rng.gauss(APART if is_right else 0.0)))
        threshold = calibrate(labels, alpha=alpha, delta=DELTA).groups[""].threshold
        covered, error = truth(threshold)
        broken += error > alpha
        none += threshold is None
        coverage += covered
        naive_broken += truth(naive_threshold([(label.own or 0.0, label.loss) for label in labels], alpha))[1] > alpha
    return {
        "n": n,
        "alpha": alpha,
        "broken_share": round(broken / draws, 4),
        "naive_broken_share": round(naive_broken / draws, 4),
        "no_certificate_share": round(none / draws, 4),
        "coverage": round(coverage / draws, 4),
        "oracle": round(oracle(alpha), 4),
        "coverage_over_oracle": round(coverage / draws / oracle(alpha), 4),
    }


# ---- real outputs


@dataclass(slots=True)
class House:
    """A router over the factory model, with a cloud on loopback behind it that knows every right answer."""

    folder: Path
    provider: LoopbackProvider
    authority: TestAuthority
    # What sends an answer on, of the routing of its policy.
    escalate: str = CERTIFIED

    def open(self, certificate: Path | None = None, backend: Backend | None = None) -> Router:
        policy = self.folder / "policy.yaml"
        policy.write_text(POLICY + self.escalate, encoding="utf-8")
        application = Application(
            policies=(policy,),
            models=(LocalModel("factory", actions(), backend="actions"),),
            bindings=(Binding("alpha", "alpha-model", key=f"env:{KEY}", price=Price(2.5, 10.0)),),
            ledger=self.folder / "ledger.jsonl",
            certificates=() if certificate is None else (CertificateFile(certificate, "factory"),),
        )
        # The labels of the rows were made for one day.
        backends = {"factory": backend or ActionBackend(actions(), now=lambda: NOW)}
        return Router.open(
            application, backends=backends, ledger=MemoryLedger(), detour=self.authority.detour({"alpha.example": self.provider})
        )


def wanted(row: dict[str, Any]) -> dict[str, Any]:
    """The right action of a row."""
    return {"name": row["name"], "arguments": row["arguments"]}


def provider_for(rows: Sequence[dict[str, Any]], authority: TestAuthority) -> LoopbackProvider:
    """A cloud that answers from the labels, and counts tokens as four characters each."""
    known = {row["text"]: json.dumps(wanted(row)) for row in rows}

    def answer(received: Received) -> Reply:
        asked = received.json["messages"][-1]["content"]
        text = known[asked if isinstance(asked, str) else asked[0]["text"]]
        usage = {"prompt_tokens": max(1, len(str(asked)) // 4), "completion_tokens": max(1, len(text) // 4)}
        return Reply(pieces=(as_json(whole(Said(text, usage=usage), "alpha-model")),))

    return LoopbackProvider(answer, tls=authority.server_tls("alpha.example"))


def is_right(answer: Answer, row: dict[str, Any]) -> bool:
    """Is this the action that was meant? What the device says as a tool call the cloud says as JSON."""
    if answer.place.is_device:
        said = {"name": answer.tool_calls[0].name, "arguments": dict(answer.tool_calls[0].arguments)}
    else:
        said = json.loads(answer.text)
    return said["name"] == row["name"] and plain(said["arguments"]) == plain(row["arguments"])


async def labelled(router: Router, rows: Sequence[dict[str, Any]]) -> list[Labelled]:
    """Ask the device for every row."""

    async def judge(row: Row, answer: Answer) -> float:
        return float(not is_right(answer, row.wanted))

    asked = [Row(row["text"], row) for row in rows]
    return (await gather(router, asked, model="factory", task=TASK, judge=judge)).labels


def real(labels: Sequence[Labelled], rng: random.Random, alpha: float) -> dict[str, Any]:
    """Make certificates of random halves and look at the other halves."""
    errors, coverages, none = [], [], 0
    rows = list(labels)
    for _ in range(SPLITS):
        rng.shuffle(rows)
        half = len(rows) // 2
        made = calibrate(rows[:half], alpha=alpha, delta=DELTA)
        threshold = made.groups[""].threshold
        if threshold is None:
            none += 1
            continue
        served = [row.loss for row in rows[half:] if confidence_of(row, made.score) >= threshold]
        errors.append(statistics.fmean(served))
        coverages.append(len(served) / (len(rows) - half))
    return {
        "alpha": alpha,
        "answers": len(rows),
        "error": round(statistics.fmean(row.loss for row in rows), 4),
        "certified_error": round(statistics.fmean(errors), 4) if errors else None,
        "certified_error_p95": round(sorted(errors)[int(0.95 * len(errors))], 4) if errors else None,
        "coverage": round(statistics.fmean(coverages), 4) if coverages else 0.0,
        "no_certificate_share": round(none / SPLITS, 4),
    }


def certificate_of(labels: Sequence[Labelled], folder: Path) -> Path:
    """Write the certificate of some labels, as `hybridrt calibrate answers` does."""
    made = calibrate(labels, alpha=ALPHA, delta=DELTA)
    today = datetime.now(UTC).date()
    issued = Issued(
        task=TASK,
        model="factory",
        population="",
        compare="json",
        alpha=ALPHA,
        delta=DELTA,
        thresholds={group: found.threshold for group, found in made.groups.items() if found.threshold is not None},
        n=made.n,
        tuning_n=made.tuning_n,
        coverage=made.coverage,
        impossible=made.impossible,
        digests=bind(actions(), "actions"),
        made=today,
        expires=today + timedelta(days=1),
    )
    path = folder / "certificate.json"
    path.write_text(json.dumps(issued.as_dict()), encoding="utf-8")
    return path


async def cascade(router: Router, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Ask for every row twice: as the policy plans it, and in the cloud alone."""
    mixed, cloud = [], []
    for row in rows:
        mixed.append((row, await router.infer(row["text"], task=TASK)))
        cloud.append((row, await router.infer(row["text"], task=TASK, only="ONLY_IN_CLOUD")))
    here = [(row, answer) for row, answer in mixed if answer.place.is_device]
    quality = [statistics.fmean(is_right(answer, row) for row, answer in asked) for asked in (mixed, cloud)]
    costs = [sum(answer.cost_usd or 0.0 for _, answer in asked) for asked in (mixed, cloud)]
    return {
        "rows": len(rows),
        "served_here": round(len(here) / len(rows), 4),
        "error_here": round(statistics.fmean(not is_right(answer, row) for row, answer in here), 4) if here else None,
        "uncertified_here": sum(not answer.certified for _, answer in here),
        "cost_share": round(costs[0] / costs[1], 4),
        "quality_kept": round(quality[0] / quality[1], 4),
        "cost_usd_per_1000": round(costs[0] / len(rows) * 1000, 4),
    }


async def on_the_device(count: int, seed: int) -> dict[str, Any]:
    """The real outputs and the cascade."""
    human = [row for row in read_rows(HUMAN) if row["text"].strip()]
    rows = human + meant_rows(max(0, count - len(human)), seed=seed + 9000, held_out=True, now=NOW)
    # A text that is asked twice would be in both halves.
    rows = list({row["text"]: row for row in rows}.values())
    rng = random.Random(seed)
    rng.shuffle(rows)
    cut = round(len(rows) * MAKING)
    authority = TestAuthority()
    os.environ[KEY] = "sk-loopback"
    with tempfile.TemporaryDirectory() as folder:
        async with provider_for(rows, authority) as provider:
            house = House(Path(folder), provider, authority)
            async with house.open() as router:
                making, rest = await labelled(router, rows[:cut]), await labelled(router, rows[cut:])
            async with house.open(certificate_of(making, house.folder)) as router:
                cascaded = await cascade(router, rows[cut:])
    answers = [*making, *rest]
    own = [real(answers, rng, alpha) for alpha in (ALPHA, ALPHA / 2)]
    fitted = [real([replace(row, own=None) for row in answers], rng, alpha) for alpha in (ALPHA, ALPHA / 2)]
    return {"real_error": own[0]["certified_error"], "real": {"own_confidence": own, "fitted_confidence": fitted}, "cascade": cascaded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    try:
        found = asyncio.run(on_the_device(options.rows, options.seed))
    except HybridrtError as error:
        raise SystemExit(f"{error}: {error.hint}") from None
    rng = random.Random(options.seed)
    cases = [simulate(options.draws, n, alpha, rng) for n, alpha in CASES]
    figures: dict[str, Any] = {
        "broken_share": max(case["broken_share"] for case in cases),
        "naive_broken_share": min(case["naive_broken_share"] for case in cases),
        "coverage_over_oracle": cases[-1]["coverage_over_oracle"],
        "real_error": found["real_error"],
        "cost_share": found["cascade"]["cost_share"],
        "quality_kept": found["cascade"]["quality_kept"],
        "alpha": ALPHA,
        "delta": DELTA,
        "draws": options.draws,
        "simulated": cases,
        "real": found["real"],
        "cascade": found["cascade"],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
