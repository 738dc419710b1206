"""Train the tagger and write `hybridrt/sense/tagger.npz`.

    python -m training.tagger.fit /path/to/routing hybridrt/sense/tagger.npz --vectors tests/sense/tagger_vectors.json

Needs torch (the CPU build is enough), Faker and names. The texts are written by grammar.py and taken from real prompts by corpus.py;
with the same seed and the same versions the same file comes out. One thread.
"""

import argparse
import json
import random
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hybridrt.sense.passage import prepare
from hybridrt.sense.tagger import FAR, KINDS, REACH, STYLES, pieces, read, tokenize
from training.tagger.corpus import Corpus
from training.tagger.grammar import KINDS_OF_WRITING, LOCATION, Writer
from training.tagger.roster import HELD_OUT, Roster

SIZE, LETTERS, WORD, HIDDEN = 131_072, 40, 64, 80
TAGS = 2 * (len(KINDS) - 1) + 1
LONGEST = 160  # tokens; a text that is longer is cut
# The whole word is hidden this often, so that letters and surroundings have to do without a list.
# Words that are rare, or mostly names, are hidden often; common words seldom: to be unknown is a sign of its own.
HIDE_NAME, HIDE_RARE, HIDE_COMMON, HIDE_PIECE = 0.4, 0.4, 0.04, 0.08
RARE = 4


class Rows:
    """Texts as numbers: every different word once, and each text as places in that list."""

    def __init__(self):
        self.place, self.words, self.texts = {}, [], []
        self.seen, self.named = Counter(), Counter()

    def add(self, text, teacher=None):
        plain = str(text)
        passage = prepare(plain)
        if passage.text != plain:
            return
        tokens = tokenize(passage.text)
        if not tokens.spans:
            return
        ids = [self.id_of(word) for word in tokens.words]
        tags, last = [], 0
        for start, end in tokens.spans:
            kind = text.kinds[start]
            if kind <= 0:
                tags.append(kind)
                last = 0
                continue
            is_first = last != kind or any(text.begins[start:end])
            tags.append(2 * kind - 1 if is_first else 2 * kind)
            last = kind
        order = np.array([ids[at] for at in tokens.order])
        if teacher is not None:
            tags = taught(tags, teacher.shares(tokens))
        for word, tag in zip(order.tolist(), tags, strict=True):
            self.seen[word] += 1
            # Of places there is an end: the list may be learned.
            self.named[word] += tag > 0 and tag not in (2 * LOCATION - 1, 2 * LOCATION)
        for at in range(0, len(order), LONGEST):
            cut = slice(at, at + LONGEST)
            if any(tag >= 0 for tag in tags[cut]):
                self.texts.append((order[cut], tokens.glue[cut], np.array(tags[cut]), tokens.style))

    def hide(self):
        """Return how often each word is hidden."""
        shares = []
        for word in range(len(self.words)):
            seen = self.seen[word]
            is_name = self.named[word] > seen / 2
            shares.append(HIDE_NAME if is_name else HIDE_RARE if seen <= RARE else HIDE_COMMON)
        return np.array(shares)

    def id_of(self, word):
        if word not in self.place:
            self.place[word] = len(self.words)
            self.words.append(word)
        return self.place[word]


def taught(tags, shares):
    """Give words that nobody labelled the label of which an earlier tagger is sure."""
    best, likely = shares.argmax(axis=1), shares.max(axis=1)
    least = np.where(best == 0, 0.8, 0.92)
    return [int(own) if tag == -1 and share > bound else tag for tag, own, share, bound in zip(tags, best, likely, least, strict=True)]


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.EmbeddingBag(SIZE, LETTERS, mode="sum", sparse=True)
        nn.init.normal_(self.table.weight, std=0.03)
        self.word = nn.Linear(LETTERS, WORD)
        self.near = nn.Linear(WORD * (2 * REACH + 1), HIDDEN)
        self.glue = nn.Embedding(4, HIDDEN)
        self.style = nn.Embedding(len(STYLES) + 1, HIDDEN)
        self.far = nn.Linear(HIDDEN * len(FAR), HIDDEN)
        self.out = nn.Linear(HIDDEN, TAGS)
        self.drop = nn.Dropout(0.2)

    def forward(self, inputs):
        rows, begins, weights, order, glue, style, inside = inputs
        words = torch.relu(self.word(self.drop(self.table(rows, begins, per_sample_weights=weights))))
        words = words[order] * inside
        beside = torch.cat([shifted(words, step) for step in range(-REACH, REACH + 1)], dim=2)
        layer = torch.relu(self.near(beside) + self.glue(glue) + self.style(style)[:, None, :]) * inside
        layer = self.drop(layer)
        top = layer + torch.relu(self.far(torch.cat([shifted(layer, step) for step in FAR], dim=2)))
        return self.out(self.drop(top))


def shifted(x, step):
    """Each place holds what stands `step` further on, and nothing beyond the ends."""
    if step == 0:
        return x
    if abs(step) >= x.shape[1]:
        return torch.zeros_like(x)
    gap = torch.zeros_like(x[:, : abs(step)])
    return torch.cat([x[:, step:], gap], dim=1) if step > 0 else torch.cat([gap, x[:, :step]], dim=1)


class Cut:
    """The pieces of every word, found once."""

    def __init__(self, words):
        parts = [pieces(words[at : at + 4000], SIZE) for at in range(0, len(words), 4000)]
        self.rows = np.concatenate([part.rows for part in parts])
        counts = np.concatenate([np.diff(np.append(part.begins, len(part.rows))) for part in parts])
        self.counts = counts
        self.begins = np.concatenate([[0], np.cumsum(counts)[:-1]])

    def of(self, ids):
        counts = self.counts[ids]
        begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
        flat = np.arange(counts.sum()) - np.repeat(begins, counts) + np.repeat(self.begins[ids], counts)
        return self.rows[flat], begins


def batch_of(texts, cut, hide, rng):
    longest = max(len(order) for order, *_ in texts)
    order = np.full((len(texts), longest), -1)
    glue = np.zeros((len(texts), longest), dtype=np.int64)
    tags = np.full((len(texts), longest), -1)
    for at, (words, glued, own, _) in enumerate(texts):
        order[at, : len(words)], glue[at, : len(words)], tags[at, : len(words)] = words, glued, own
    ids, inverse = np.unique(np.maximum(order, 0), return_inverse=True)
    rows, begins = cut.of(ids)
    weights = np.ones(len(rows), dtype=np.float32)
    if rng is not None:
        weights[rng.random(len(rows)) < HIDE_PIECE] = 0
        weights[begins] = 1  # the shape always shows
        hidden = begins[rng.random(len(begins)) < hide[ids]]
        weights[hidden + 1] = 0
        weights[hidden + 2] = 0
    inside = (order >= 0).astype(np.float32)[:, :, None]
    style = np.array([style for *_, style in texts])
    arrays = (rows, begins, weights, inverse.reshape(order.shape), glue, style, inside)
    return [torch.from_numpy(np.ascontiguousarray(one)) for one in arrays], torch.from_numpy(tags)


def write(args, texts, teacher):
    """Write the texts to learn from."""
    rng = random.Random(args.seed)
    roster = partial(Roster, without=HELD_OUT if args.hold_out else ())
    corpus = Corpus(args.routing, args.seed + 1, roster)
    without = KINDS_OF_WRITING if args.hold_out else ()
    writer = Writer(args.seed + 2, roster=roster, sentences=corpus.sentences(), without=without)
    rows = Rows()
    for _ in range(texts):
        if rng.random() < 0.64:
            rows.add(writer.text())
        else:
            rows.add(corpus.text(), teacher)
    return rows


def fit(args, texts, epochs, teacher=None):
    """Train on so many texts, and return the model."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    began = time.time()
    rows = write(args, texts, teacher)
    cut = Cut(rows.words)
    print(f"{len(rows.texts)} texts, {len(rows.words)} words, {time.time() - began:.0f} s", flush=True)
    hide = rows.hide()
    model = Tagger()
    rate = 2e-3
    # Of the table only the rows of a batch move: a dense step over all of it would be most of the time.
    table = torch.optim.SparseAdam([model.table.weight], lr=rate)
    dense = [value for name, value in model.named_parameters() if name != "table.weight"]
    rest = torch.optim.AdamW(dense, lr=rate, weight_decay=0.01)
    weight = torch.ones(TAGS)
    sizes = np.array([len(order) for order, *_ in rows.texts])
    steps_done, begun, total_loss = 0, time.time(), 0.0
    steps = epochs * (len(rows.texts) // args.batch)
    for epoch in range(epochs):
        # Texts of like length together; a little chance, so that batches differ.
        by_size = np.argsort(sizes + rng.integers(0, 20, len(sizes)))
        batches = [by_size[at : at + args.batch] for at in range(0, len(by_size), args.batch)]
        rng.shuffle(batches)
        for batch in batches:
            inputs, tags = batch_of([rows.texts[at] for at in batch], cut, hide, rng)
            for group in (*table.param_groups, *rest.param_groups):
                group["lr"] = rate * min(1.0, (steps_done + 1) / 200) * max(0.02, 1 - steps_done / (steps + 1))
            logits = model(inputs)
            loss = nn.functional.cross_entropy(
                logits.reshape(-1, TAGS), tags.reshape(-1), weight=weight, ignore_index=-1, label_smoothing=0.03
            )
            table.zero_grad()
            rest.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(dense, 1.0)
            table.step()
            rest.step()
            steps_done += 1
            total_loss = 0.99 * total_loss + 0.01 * loss.item() if total_loss else loss.item()
        print(f"epoch {epoch} loss {total_loss:.4f} {time.time() - begun:.0f} s", flush=True)
    return model.eval()


def export(model, path):
    """Write the weights: the table in bytes with a scale for each column, the rest in half precision."""
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    table = state["table.weight"]
    scale = np.abs(table).max(axis=0) / 127
    near = state["near.weight"].reshape(HIDDEN, 2 * REACH + 1, WORD)
    half = np.float16
    np.savez(
        path,
        table=np.round(table / scale).astype(np.int8),
        table_scale=scale.astype(np.float32),
        word=state["word.weight"].T.astype(half),
        word_bias=state["word.bias"].astype(half),
        near=near.transpose(2, 1, 0).reshape(WORD, -1).astype(half),
        near_bias=state["near.bias"].astype(half),
        glue=state["glue.weight"].astype(half),
        style=state["style.weight"].astype(half),
        far=state["far.weight"].T.astype(half),
        far_bias=state["far.bias"].astype(half),
        out=state["out.weight"].T.astype(half),
        out_bias=state["out.bias"].astype(half),
    )


VECTORS = (
    "Please call Anjali Raghunathan at 12 Baker Street, London NW1 6XE about the invoice.",
    "hey this is tomasz from globex, can u mail me back",
    "def mark_read(self, grace):\n    return self.page + 1",
    "Dr. Okonkwo-Smythe (St Thomas' Hospital) wrote:\n> O'Brien will be late",
)


def vectors(model, path):
    """Write what torch says about a few texts, for the test that numpy says the same."""
    if path is None:
        return
    found = []
    for text in VECTORS:
        rows = Rows()
        passage = prepare(text)
        tokens = tokenize(passage.text)
        ids = [rows.id_of(word) for word in tokens.words]
        order = np.array([ids[at] for at in tokens.order])
        inputs, _ = batch_of([(order, tokens.glue, np.zeros(len(order)), tokens.style)], Cut(rows.words), None, None)
        with torch.no_grad():
            shares = torch.softmax(model(inputs), dim=2)[0].numpy()
        found.append({"text": text, "shares": [[round(float(one), 4) for one in row] for row in shares]})
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("routing")
    parser.add_argument("out")
    parser.add_argument("--texts", type=int, default=90_000)
    parser.add_argument("--first-texts", type=int, default=36_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--hold-out", action="store_true", help="leave cultures and whole kinds of writing out, to measure on them")
    parser.add_argument("--vectors")
    args = parser.parse_args()
    first = Path(args.out).with_suffix(".first.npz")
    # A first tagger labels what it is sure of in real prompts, for the second to learn from.
    export(fit(args, args.first_texts, 2), first)
    model = fit(args, args.texts, args.epochs, read(first))
    first.unlink()
    export(model, Path(args.out))
    vectors(model, Path(args.vectors) if args.vectors else None)


if __name__ == "__main__":
    main()
