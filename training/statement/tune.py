"""Teach a sentence encoder what a statement about a person is: too large to ship, it teaches the small net.

    python -m training.statement.tune ENCODER_FOLDER ROUTING_FOLDER teacher.pt

The encoder is all-MiniLM-L6-v2 (Apache-2.0). It learns from our labelled texts, said otherwise, and from harmless prompts. With
`--without A` an author is left out and measured. Needs torch and transformers; about half an hour on one core.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import BertModel

from hybridrt.sense.statement import LINE, SUBJECTS, UNKNOWN, tokenize
from training.statement.fit import authors, prompts, vocabulary_of
from training.statement.vary import make_variation

EPOCHS, BATCH, LONGEST = 3, 32, 128
KEPT_LAYERS = 2
RATE, HEAD_RATE = 6e-5, 1e-3
PROMPTS_PER_EPOCH, GENERATED_PER_EPOCH = 2000, 400
HELD_PROMPTS = 4000


class Teacher(nn.Module):
    """The encoder, the mean and the largest of what it says of each piece, and a judgement of both."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = BertModel.from_pretrained(encoder)
        # What it knows of words and of their nearest surroundings is kept, which also saves a quarter of the time.
        self.encoder.embeddings.requires_grad_(requires_grad=False)
        self.encoder.encoder.layer[:KEPT_LAYERS].requires_grad_(requires_grad=False)
        width = 2 * self.encoder.config.hidden_size
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(width, 128), nn.Tanh(), nn.Dropout(0.2), nn.Linear(128, 1 + len(SUBJECTS)))

    def forward(self, texts):
        longest = max(map(len, texts))
        rows = torch.tensor([rows + [0] * (longest - len(rows)) for rows in texts])
        inside = torch.tensor([[1] * len(rows) + [0] * (longest - len(rows)) for rows in texts])
        read = self.encoder(input_ids=rows, attention_mask=inside).last_hidden_state
        mean = (read * inside[:, :, None]).sum(1) / inside.sum(1, keepdim=True)
        most = read.masked_fill(inside[:, :, None] == 0, -1e4).max(1).values
        return self.head(torch.cat([mean, most], 1))


class Reader:
    """Cuts texts into the rows of the encoder's vocabulary."""

    def __init__(self, encoder):
        self.vocabulary, self.first, self.last = vocabulary_of(encoder)

    def __call__(self, text):
        # The rows of the vocabulary are those of the encoder here, so that one tokenizer serves both.
        rows = tokenize(text, self.vocabulary).rows.tolist()[: LONGEST - 2]
        return [self.first, *(self.vocabulary["[UNK]"] if row == UNKNOWN else row for row in rows if row != LINE), self.last]


def judged(model, reader, texts):
    """Return the logits of each text."""
    model.eval()
    rows = [reader(text) for text in texts]
    found = np.zeros((len(rows), 1 + len(SUBJECTS)), dtype=np.float32)
    order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
    with torch.inference_mode():
        for begin in range(0, len(order), BATCH):
            some = order[begin : begin + BATCH]
            found[some] = model([rows[at] for at in some]).numpy()
    return found


def epoch_of(rng, vary, train, harmless):
    """Return what is read in one epoch: text, subject and whether it is a statement."""
    rows = [(vary.said(text) if rng.random() < 0.6 else text, subject, is_one) for text, subject, is_one, _ in train]
    rows += [(text, -1, False) for text in rng.sample(harmless, PROMPTS_PER_EPOCH)]
    for _ in range(GENERATED_PER_EPOCH):
        rows += [(vary.said(text), -1, False) for text in (vary.about(), vary.of_nobody(), vary.harmless())]
        subject, text = vary.told()
        rows.append((vary.said(text), SUBJECTS.index(subject) if subject in SUBJECTS else -1, True))
    return rows


def recall_at(clean, ones, share):
    """Return the share of statements above the score that so many harmless texts reach."""
    bound = np.quantile(clean, 1 - share)
    return float((ones > bound).mean())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("encoder", type=Path)
    parser.add_argument("routing", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--without", default="")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rng = random.Random(1)
    model, reader = Teacher(args.encoder), Reader(args.encoder)
    harmless = prompts(args.routing)
    rng.shuffle(harmless)
    held, harmless = harmless[:HELD_PROMPTS], harmless[HELD_PROMPTS:]
    body = [value for value in model.encoder.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW([{"params": body}, {"params": model.head.parameters()}], lr=RATE, weight_decay=0.01)
    began = time.time()
    for epoch in range(args.epochs):
        everything = authors()
        test = everything.pop(args.without, [])
        train = [row for rows in everything.values() for row in rows]
        vary = make_variation(rng, train)
        examples = [(reader(text), subject, is_one) for text, subject, is_one in epoch_of(rng, vary, train, harmless)]
        examples.sort(key=lambda one: len(one[0]) + rng.randrange(10))
        batches = [examples[at : at + BATCH] for at in range(0, len(examples), BATCH)]
        rng.shuffle(batches)
        model.train()
        total = 0.0
        for number, batch in enumerate(batches):
            done = epoch + number / len(batches)
            slow = min(1.0, done * 10 + 0.02) * max(0.02, 1 - done / args.epochs)
            for group, rate in zip(optimiser.param_groups, (RATE, HEAD_RATE), strict=True):
                group["lr"] = rate * slow
            logits = model([rows for rows, *_ in batch])
            truth = torch.tensor([is_one * 0.96 + 0.02 for *_, is_one in batch])
            subject = torch.tensor([subject for _, subject, _ in batch])
            loss = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], truth)
            if (subject >= 0).any():
                loss = loss + 0.2 * nn.functional.cross_entropy(logits[:, 1:], subject, ignore_index=-1)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(body, 1.0)
            optimiser.step()
            total += loss.item()
            if number % 100 == 0:
                print(f"{done:.2f} {total / (number + 1):.4f} {time.time() - began:.0f} s", flush=True)
        torch.save(model.state_dict(), args.target)
        told = {"epoch": epoch, "texts": len(train), "prompts_sure": float((judged(model, reader, held)[:, 0] > 0).mean())}
        if test:
            scores, is_one = judged(model, reader, [text for text, *_ in test])[:, 0], np.array([row[2] for row in test])
            told |= {f"{share:.1%}": recall_at(scores[~is_one], scores[is_one], share) for share in (0.005, 0.01, 0.02, 0.05)}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
