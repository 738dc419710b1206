"""How well the complexity score ranks, sorts, and says that it does not know.

    python -m benchmarks.sensing.complexity DATA_DIR

DATA_DIR holds `train.jsonl` (questions with the scores of small and strong models) and `prompts.jsonl`.

- `mmlu_pair_apgr`: the general weights, which were not fitted on the pair, and a calibration on four fifths of its rows,
  tested on the last fifth, in turn; `mmlu_general_apgr` and `mmlu_length_apgr` beside it.
- `pooled_apgr`: all scored questions in one order, each family ranked by weights that were fitted anew without it;
  `length_apgr` and `oracle_apgr` are length alone and the best order there is.
- `tier_accuracy`: the bands of the requests in `requests.txt`, which no weight was fitted on, where they are known;
  `hard_called_easy` is a share of the hard ones. Settings were chosen with them in sight and their writers wrote the
  examples: unseen requests of others will come out lower.
- `unknown_share`: of ordinary English prompts; of 120 texts that are none `odd_known_share` got a score.
- `two_bands`: requests of at least four words that any of 50 suffixes moved from easy to hard or back, of `suffixed`.
- `score_us`: thread CPU time of scoring 1,000 characters of prose, median, without making them ready.

Prints one JSON object, last.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

from benchmarks.sensing.suffixes import suffixes
from hybridrt.sense.calibrate import Label, fit_calibration
from hybridrt.sense.complexity import excerpt, score
from hybridrt.sense.privacy import read
from hybridrt.signals import Complexity

BANDS = ("easy", "medium", "hard")
# The second Arena set is a third in other languages.
ORDINARY = ("clinc/oos-eval", "sonos/nlu-benchmark", "openai/human-eval", "lmarena/arena-hard-auto v0.1")
PROSE = (
    "The ferry leaves at eight and takes an hour to cross. We had packed bread, cheese and a flask of tea, and the children wanted "
    "to sit on the upper deck. Halfway over the wind rose, so we went inside and played cards until the harbour came into sight. "
)


def rate(text: str) -> Complexity:
    """Score a text as the senses do."""
    reading = read(excerpt(text))
    return score(reading.passage, reading.language)


def figures(data_dir: Path) -> dict[str, Any]:
    """Return all figures."""
    return {**ranking(data_dir), **sorting(), **not_knowing(data_dir), **suffixing(), **cost()}


def ranking(data_dir: Path) -> dict[str, Any]:
    """How well gains are ranked; fits the weights anew for each family held out, some 20 s each."""
    import numpy as np

    from training.complexity.fit import NEVER_FITTED, Table, held_out
    from training.complexity.metric import apgr
    from training.complexity.rows import other_rows, scored_rows

    rows = scored_rows(data_dir)
    pair = fit_calibration([Label(row.text, row.weak, row.strong) for row in rows if row.family == NEVER_FITTED])
    table = Table(rows + other_rows(data_dir))
    value = held_out(table, table.family)
    scored = table.is_scored
    pooled = {
        name: round(apgr(table.weak[scored], table.strong[scored], np.asarray(order)[scored]), 4)
        for name, order in (("pooled_apgr", value), ("length_apgr", table.length), ("oracle_apgr", table.gain))
    }
    by_family = {}
    for family in sorted(set(table.family[scored])):
        mine = table.family == family
        by_family[family] = [round(apgr(table.weak[mine], table.strong[mine], order[mine]), 3) for order in (value, table.length)]
    return {
        "mmlu_pair_apgr": pair.apgr["calibrated"],
        "mmlu_general_apgr": pair.apgr["general"],
        "mmlu_length_apgr": pair.apgr["length"],
        "mmlu_oracle_apgr": pair.apgr["oracle"],
        "mmlu_rows": pair.rows,
        **pooled,
        "family_and_length_apgr": by_family,
    }


def requests() -> list[tuple[str, str]]:
    """Return tier and text of the requests written for this."""
    from training.complexity.rows import tiers

    return tiers(Path(__file__).with_name("requests.txt"))


def sorting() -> dict[str, Any]:
    """How many requests get the band that people give them."""
    found = [(tier, rate(text).band) for tier, text in requests()]
    known = [(tier, band) for tier, band in found if band != "unknown"]
    hard = [band for tier, band in known if tier == "hard"]
    easy = [band for tier, band in known if tier == "easy"]
    return {
        "tier_accuracy": round(sum(tier == band for tier, band in known) / len(known), 4),
        "hard_called_easy": round(hard.count("easy") / len(hard), 4),
        "easy_called_hard": round(easy.count("hard") / len(easy), 4),
        "tier_unknown": len(found) - len(known),
        "tier_requests": len(found),
        "tiers": {tier: {band: found.count((tier, band)) for band in (*BANDS, "unknown")} for tier in BANDS},
    }


def odd_texts(count: int = 30, seed: int = 3) -> list[str]:
    """Return texts that are no requests in English: noise of letters, base64, other languages, control characters."""
    rng = random.Random(seed)
    foreign = (  # one sentence in each of eight languages
        "Kannst du mir bitte sagen, wann der nächste Zug nach Hamburg fährt und was er kostet",
        "¿Puedes explicarme cómo funciona una hipoteca?",
        "Je voudrais savoir comment préparer une tarte aux pommes", "Explique por que o céu é azul em poucas palavras",
        "Napisz krótki list do sąsiada o hałasie",
        "Объясни доказательство этой теоремы", "请解释一下量子力学的基本原理", "今日の天気を教えてください",
    )  # fmt: skip
    letters = "bcdfghjklmnpqrstvwxz"
    found = [rng.choice(foreign) for _ in range(count)]
    found += [" ".join("".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(rng.randint(5, 20))) for _ in range(count)]
    found += [b64encode(rng.randbytes(rng.randint(90, 600))).decode() for _ in range(count)]
    found += ["".join(map(chr, rng.choices((*range(32), *range(128, 256)), k=rng.randint(40, 400)))) for _ in range(count)]
    return found


def not_knowing(data_dir: Path) -> dict[str, Any]:
    """How often there is no score where there should be one, and a score where there should be none."""
    prompts = [json.loads(line) for line in (data_dir / "prompts.jsonl").open(encoding="utf-8")]
    ordinary = [row["prompt"] for row in prompts if row["source"] in ORDINARY]
    unknown = sum(rate(text).band == "unknown" for text in ordinary)
    odd = odd_texts()
    return {
        "unknown_share": round(unknown / len(ordinary), 5),
        "ordinary_prompts": len(ordinary),
        "odd_known_share": round(sum(rate(text).band != "unknown" for text in odd) / len(odd), 4),
    }


def suffixing() -> dict[str, Any]:
    """How often a suffix moves a request across two bands."""
    moved = tried = 0
    for _, text in requests():
        before = rate(text).band
        if len(text.split()) < 4 or before == "unknown":
            continue
        for suffix in suffixes():
            after = rate(text + suffix).band
            tried += 1
            moved += after != "unknown" and abs(BANDS.index(after) - BANDS.index(before)) > 1
    return {"two_bands": moved, "suffixed": tried}


def cost(rounds: int = 500) -> dict[str, Any]:
    """What scoring costs."""
    reading = read((PROSE * 5)[:1000])
    times = []
    for _ in range(rounds):
        began = time.thread_time_ns()
        score(reading.passage, reading.language)
        times.append(time.thread_time_ns() - began)
    return {"score_us": round(statistics.median(times) / 1000, 1)}


if __name__ == "__main__":
    print(json.dumps(figures(Path(sys.argv[1]))))
