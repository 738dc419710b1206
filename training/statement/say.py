"""Many texts, and what the teacher says of each: what the small net learns from.

    python -m training.statement.say ENCODER_FOLDER ROUTING_FOLDER teacher.pt said

Our own texts, as they are and said otherwise, their sentences, two of them together, and real prompts. Writes `said.json`
(text, whether it is a statement where we know, subject) and `said.npz` (logits of the teacher and what led to them). What
is longer than a window is not read by the teacher, who would cut it. Needs torch and transformers; `--part 1/2` and
`--part 2/2` share the work between two processes.
"""

import argparse
import json
import random
import re
import time
from pathlib import Path

import numpy as np
import torch

from hybridrt.sense.statement import SUBJECTS, WINDOW, tokenize
from training.statement.fit import authors, prompts
from training.statement.tune import BATCH, Reader, Teacher
from training.statement.vary import make_variation

COPIES, PROMPTS, GENERATED, TOGETHER = 2, 10_000, 1_500, 4_000
LONGEST_PROMPT = 1_000
_SENTENCE = re.compile(r"(?<=[.!?\n])\s")


def texts(args):
    """Return the texts: each with 1 or 0 where its label is known and -1 where not, and its subject or -1."""
    rng = random.Random(args.seed)
    rows = [row for author, some in authors().items() if author not in args.without for row in some]
    vary = make_variation(rng, rows)
    found = []
    for text, subject, is_one, _ in rows:
        found += [(said, int(is_one), subject) for said in (text, *(vary.said(text) for _ in range(COPIES)))]
        parts = [part for part in _SENTENCE.split(text) if 15 < len(part) < len(text) * 0.8]
        if parts:
            # What is said in a sentence of a statement may be nothing by itself.
            found.append((rng.choice(parts), -1 if is_one else 0, -1))
    for _ in range(TOGETHER):
        (one, *_, is_one, _), (other, *_, is_other, _) = rng.choice(rows), rng.choice(rows)
        found.append((one + rng.choice((" ", "\n", "\n\n")) + other, int(is_one or is_other), -1))
    found += [(text[:LONGEST_PROMPT], 0, -1) for text in rng.sample(prompts(args.routing), PROMPTS)]
    for _ in range(GENERATED):
        found += [(vary.said(text), 0, -1) for text in (vary.about(), vary.of_nobody(), vary.harmless())]
        subject, text = vary.told()
        found.append((vary.said(text), 1, SUBJECTS.index(subject) if subject in SUBJECTS else -1))
    rng.shuffle(found)
    part, parts = map(int, args.part.split("/"))
    return found[part - 1 :: parts]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("encoder", type=Path)
    parser.add_argument("routing", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--without", nargs="*", default=())
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, reader = Teacher(args.encoder), Reader(args.encoder)
    model.load_state_dict(torch.load(args.teacher))
    model.eval()
    found = texts(args)
    short = [len(tokenize(text, reader.vocabulary).rows) <= WINDOW for text, *_ in found]
    print(len(found), sum(short), flush=True)
    rows = [reader(text) if is_short else [] for (text, *_), is_short in zip(found, short, strict=True)]
    logits = np.full((len(found), 1 + len(SUBJECTS)), np.nan, dtype=np.float16)
    led, seen = np.zeros((len(found), model.head[1].out_features), dtype=np.float16), []
    model.head[2].register_forward_hook(lambda _, __, out: seen.append(out))
    order = sorted((at for at, is_short in enumerate(short) if is_short), key=lambda at: len(rows[at]))
    began = time.time()
    with torch.inference_mode():
        for begin in range(0, len(order), BATCH):
            some = order[begin : begin + BATCH]
            logits[some] = model([rows[at] for at in some]).numpy()
            led[some] = seen.pop().numpy()
            if begin % (BATCH * 100) == 0:
                print(f"{begin} of {len(order)}, {time.time() - began:.0f} s", flush=True)
    np.savez(args.target.with_suffix(".npz"), logits=logits, led=led)
    args.target.with_suffix(".json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
