"""Answers with scores, and certificates about them, for the tests of this folder."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

from hybridrt.confidence.binding import bind
from hybridrt.confidence.issued import Issued
from hybridrt.event import Evidence, Finish

MADE, ENDS = date(2020, 1, 1), date(2999, 1, 1)


def evidence(*logprobs: float, refused: float = 0.0, entropy: float = 0.1) -> Evidence:
    logprobs = logprobs or (-0.1,)
    return Evidence(
        logprobs=logprobs,
        mean_logprob=sum(logprobs) / len(logprobs),
        min_logprob=min(logprobs),
        low_logprob=sorted(logprobs)[len(logprobs) // 10],
        mean_margin=3.0,
        min_margin=1.0,
        first_entropy=entropy,
        mean_entropy=entropy,
        mean_refused=refused,
        max_refused=refused,
    )


def finish(*logprobs: float, **known) -> Finish:
    return Finish("stop", evidence=evidence(*logprobs), **known)


def issued(path: Path, *, kind: str = "llama", **given) -> Issued:
    """A certificate about a model file as it is now: answers at a confidence of 0.5 or more are covered."""
    plain = Issued(
        task="extract",
        model="factory",
        population="",
        compare="exact",
        alpha=0.1,
        delta=0.05,
        thresholds={"": 0.5},
        n=700,
        tuning_n=300,
        coverage=0.7,
        impossible=0.0,
        digests=bind(path, kind),
        made=MADE,
        expires=ENDS,
    )
    return replace(plain, **given)


def write(certificate: Issued, path: Path) -> Path:
    path.write_text(json.dumps(certificate.as_dict()), encoding="utf-8")
    return path
