"""Many texts, and what a sentence encoder makes of each: what the net is taught before it learns what a statement is.

    python -m training.statement.read ENCODER_FOLDER ROUTING_FOLDER texts.json vectors.npy

Our own texts, said otherwise and cut into sentences, and real prompts; no labels are used. `--without` leaves out an author.
Needs torch and transformers; some ten minutes on one core.
"""

import argparse
import json
import random
import re
from pathlib import Path

import numpy as np
import torch
from transformers import BertModel

from hybridrt.sense.statement import LINE, UNKNOWN, tokenize
from training.statement.fit import authors, prompts, vocabulary_of
from training.statement.vary import make_variation

COPIES, PROMPTS, ABOUT = 3, 14_000, 3_000
BATCH, LONGEST = 32, 128
_SENTENCE = re.compile(r"(?<=[.!?\n])\s")


def texts(args):
    """Return the texts to read, in any order."""
    rng = random.Random(args.seed)
    rows = [row for author, some in authors().items() if author not in args.without for row in some]
    vary = make_variation(rng, rows)
    found = []
    for text, *_ in rows:
        found += [text, *(vary.said(text) for _ in range(COPIES))]
        found += [part for part in _SENTENCE.split(text) if 15 < len(part) < len(text) * 0.8]
    found += [text[:500] for text in rng.sample(prompts(args.routing), PROMPTS)]
    found += [vary.said(vary.about()) for _ in range(ABOUT)]
    found += [vary.said(vary.told()[1]) for _ in range(ABOUT)]
    found += [vary.said(vary.of_nobody()) for _ in range(ABOUT)]
    rng.shuffle(found)
    return found


def _rows(text, vocabulary):
    rows = tokenize(text, vocabulary).rows.tolist()[: LONGEST - 2]
    return [vocabulary["[UNK]"] if row == UNKNOWN else row for row in rows if row != LINE]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("encoder", type=Path)
    parser.add_argument("routing", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--without", nargs="*", default=())
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = BertModel.from_pretrained(args.encoder).eval()
    vocabulary, first, last = vocabulary_of(args.encoder)
    found = texts(args)
    # The rows of the vocabulary are those of the encoder here, so that one tokenizer serves both.
    rows = [[first, *_rows(text, vocabulary), last] for text in found]
    vectors = np.zeros((len(rows), model.config.hidden_size), dtype=np.float16)
    order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
    with torch.inference_mode():
        for begin in range(0, len(order), BATCH):
            some = order[begin : begin + BATCH]
            longest = max(len(rows[at]) for at in some)
            numbers = torch.tensor([rows[at] + [0] * (longest - len(rows[at])) for at in some])
            inside = torch.tensor([[1] * len(rows[at]) + [0] * (longest - len(rows[at])) for at in some])
            read = model(input_ids=numbers, attention_mask=inside).last_hidden_state
            mean = (read * inside[:, :, None]).sum(1) / inside.sum(1, keepdim=True)
            vectors[some] = torch.nn.functional.normalize(mean, dim=1).numpy()
            if begin % (BATCH * 100) == 0:
                print(f"{begin} of {len(order)}", flush=True)
    np.save(args.vectors, vectors)
    args.texts.write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
