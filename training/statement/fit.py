"""Train the detector of statements and write `hybridrt/sense/statement.npz`.

    python -m training.statement.fit pieces.npz ROUTING_FOLDER hybridrt/sense/statement.npz --vectors tests/sense/statement_vectors.json
    python -m training.statement.fit pieces.npz ROUTING_FOLDER --without A       # trained without an author, measured on that author

`pieces.npz` comes from embed.py. The labelled texts are `texts/` here and those of `benchmarks/sensing/texts`; prompts of the routing
folder count as harmless but for a few kinds. Needs torch (the CPU build is enough). One thread; the same seed gives the same weights.
"""

import argparse
import json
import math
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.sensing.leave import HELD, TOPICS, levels
from hybridrt.sense import Senses
from hybridrt.sense.passage import prepare
from hybridrt.sense.senses import shipped_detectors
from hybridrt.sense.statement import FAR, FIRST_PIECE, NEAR, SUBJECTS, read, tokenize, windows
from hybridrt.sense.statements import SURE, learned
from hybridrt.sense.wordlist import wordset
from training.statement.vary import make_variation

HERE = Path(__file__).parent
SENSING = HERE.parents[1] / "benchmarks" / "sensing" / "texts"
MEANING, HIDDEN, HEADS, LAYERS = 64, 128, 2, 2
BATCH = 48
PROMPTS_PER_EPOCH = 2500
ABOUT_PER_EPOCH, TOLD_PER_EPOCH = 300, 500
# The sets of the measurement that were written before and tuned to anyway; later ones are kept to measure with.
LEARNED = "12345"
# A piece seen so often in labelled texts may move away from what the encoder says of it.
KNOWN = 6
# Found by patterns, wherever they stand: they say nothing of statements.
STRUCTURED = {"credential", "address", "contact", "bank_account", "government_id", "payment_card"}
SUBJECT = {"phi": "health"}


def labelled(path):
    """Yield label and text of each line."""
    for line in path.read_text("utf-8").splitlines():
        if " | " in line and not line.startswith("#"):
            label, _, text = line.partition(" | ")
            yield label.strip(), text.replace("\\n", "\n")


def authors():
    """Return the texts of each author: text, subject of a statement (-1: another), whether it is one, and its kind."""
    found = {}
    files = [path for path in SENSING.glob("*.txt") if path.stem[-1] in LEARNED] + list((HERE / "texts").glob("*.txt"))
    for path in sorted(files):
        kind, _, author = path.stem.partition("-")
        author = {"1": "1"}.get(author, "2-5" if author.isdigit() else author)
        for label, text in labelled(path):
            if kind == "leave" and label in STRUCTURED:
                continue
            subject = SUBJECT.get(label, label)
            number = SUBJECTS.index(subject) if kind == "leave" and subject in SUBJECTS else -1
            found.setdefault(author, []).append((text, number, kind == "leave", label))
    return found


# Kinds of CLINC that speak of the writer's own money, health or keys, and so may be statements.
UNSURE = wordset(
    "pin_change account_blocked freeze_account report_fraud report_lost_card damaged_card bill_balance income balance credit_score taxes "
    "payday direct_deposit insurance pto_balance transactions spending_history improve_credit_score card_declined meeting_schedule "
    "credit_limit routing min_payment bill_due user_name vaccines"
)


def prompts(folder):
    """Return real prompts that say nothing of anybody; those that might are left out."""
    texts = []
    for line in (folder / "prompts.jsonl").read_text("utf-8").rstrip("\n").split("\n"):
        row = json.loads(line)
        if row.get("label") not in UNSURE:
            texts.append(row["prompt"])
    texts += [json.loads(line)["prompt"] for line in (folder / "train.jsonl").read_text("utf-8").rstrip("\n").split("\n")]
    return [text[:1500] for text in dict.fromkeys(texts)]


def vocabulary_of(encoder):
    """Return the rows of an encoder's vocabulary, and the numbers that stand at both ends of a text."""
    lines = (encoder / "vocab.txt").read_text("utf-8").split("\n")
    numbers = {piece: number for number, piece in enumerate(lines)}
    return numbers, numbers["[CLS]"], numbers["[SEP]"]


class Net(nn.Module):
    """What `hybridrt.sense.statement.Network` does, so that it can learn."""

    def __init__(self, known, seen):
        super().__init__()
        self.register_buffer("known", torch.cat([torch.zeros(FIRST_PIECE, known.shape[1]), known]))
        self.small = nn.Linear(known.shape[1], MEANING, bias=False)
        self.register_buffer("place", (seen > 0).long().cumsum(0) * (seen > 0))
        self.moved = nn.Embedding(int((seen > 0).sum()) + 1, MEANING, padding_idx=0)
        nn.init.zeros_(self.moved.weight)
        self.case = nn.Embedding(3, MEANING)
        nn.init.normal_(self.case.weight, std=0.1)
        self.near = nn.Linear(MEANING * len(NEAR), HIDDEN)
        self.far = nn.Parameter(torch.randn(LAYERS, len(FAR), HIDDEN) * 0.15)
        self.mixed = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(LAYERS))
        self.heed = nn.Linear(HIDDEN, HEADS, bias=False)
        self.middle = nn.Linear(HIDDEN * (1 + HEADS), HIDDEN)
        self.out = nn.Linear(HIDDEN, 1 + len(SUBJECTS))
        self.taught = nn.Linear(HIDDEN * (1 + HEADS), 384)

    def table(self, rows=None):
        if rows is None:
            return self.small(self.known) + self.moved(self.place)
        return self.small(self.known[rows]) + self.moved(self.place[rows])

    def forward(self, rows, cases, inside, noise=0.0, drop=0.0, *, taught=False):
        pieces = self.table(rows)
        if noise:
            pieces = pieces + torch.randn_like(pieces) * noise * pieces.detach().std()
            pieces = pieces * (torch.rand(rows.shape) > 0.06)[:, :, None]
        pieces = (nn.functional.dropout(pieces, drop / 2, self.training) + self.case(cases)) * inside[:, :, None]
        layer = torch.relu(self.near(beside(pieces, NEAR))) * inside[:, :, None]
        layer = nn.functional.dropout(layer, drop, self.training)
        for far, mixed in zip(self.far, self.mixed, strict=True):
            more = torch.relu(mixed(sum(part * weight for part, weight in zip(besides(layer, FAR), far, strict=True))))
            layer = (layer + nn.functional.dropout(more, drop, self.training)) * inside[:, :, None]
        top = layer
        outside = (inside == 0)[:, :, None]
        heed = self.heed(top).masked_fill(outside, -1e4).softmax(1)
        pooled = [top.masked_fill(outside, -1e4).max(1).values] + [(heed[:, :, n, None] * top).sum(1) for n in range(HEADS)]
        pooled = nn.functional.dropout(torch.cat(pooled, 1), drop, self.training)
        if taught:
            return self.taught(pooled)
        return self.out(nn.functional.dropout(torch.relu(self.middle(pooled)), drop, self.training))


def beside(x, steps):
    """Put beside each place what stands so many steps on, and nothing beyond the ends."""
    return torch.cat(besides(x, steps), 2)


def besides(x, steps):
    reach = max(map(abs, steps))
    padded = nn.functional.pad(x, (0, 0, reach, reach))
    return [padded[:, reach + step : reach + step + x.shape[1]] for step in steps]


def batch_of(examples):
    """Return the windows of some tokenized texts, and which text each belongs to."""
    parts = [(at, begin, end) for at, tokens in enumerate(examples) for begin, end in windows(len(tokens.rows))]
    longest = max(end - begin for _, begin, end in parts)
    rows = torch.zeros(len(parts), longest, dtype=torch.int64)
    cases, inside = torch.zeros_like(rows), torch.zeros(len(parts), longest)
    for row, (at, begin, end) in enumerate(parts):
        rows[row, : end - begin] = torch.from_numpy(examples[at].rows[begin:end])
        cases[row, : end - begin] = torch.from_numpy(examples[at].cases[begin:end])
        inside[row, : end - begin] = 1
    return rows, cases, inside, torch.tensor([at for at, *_ in parts])


def judged(model, examples):
    """Return the highest logit over the windows of each text."""
    scores = np.full(len(examples), -30.0)
    order = sorted(range(len(examples)), key=lambda at: len(examples[at].rows))
    model.eval()
    with torch.inference_mode():
        for first in range(0, len(order), 64):
            some = [at for at in order[first : first + 64] if len(examples[at].rows)]
            if some:
                *inputs, owner = batch_of([examples[at] for at in some])
                logits = model(*inputs)[:, 0]
                for at, logit in zip(owner.tolist(), logits.tolist(), strict=True):
                    scores[some[at]] = max(scores[some[at]], logit)
    return scores


def tokens_of(text, vocabulary):
    return tokenize(prepare(text).text, vocabulary)


def fit(args, pieces, known, train, harmless, *, epochs, seed, report=print):
    """Train on labelled texts and harmless prompts, and return the model."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = random.Random(seed)
    vocabulary = {piece: row for row, piece in enumerate(pieces, FIRST_PIECE)}
    counts = Counter(row for text, *_ in train for row in set(tokens_of(text, vocabulary).rows.tolist()))
    seen = torch.zeros(len(pieces) + FIRST_PIECE)
    for row, count in counts.items():
        seen[row] = float(count >= KNOWN)
    seen[:FIRST_PIECE] = 1
    vary = make_variation(rng, train, args.swap)
    if args.start:
        # What may move is what moved before, so that the states fit.
        state = torch.load(args.start)
        model = Net(torch.from_numpy(known), (state["place"] > 0).float())
        model.load_state_dict(state)
    else:
        model = Net(torch.from_numpy(known), seen)
    moved = [model.moved.weight]
    rest = [value for name, value in model.named_parameters() if name != "moved.weight"]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "weight_decay": 0.02, "lr": args.rate}, {"params": moved, "weight_decay": 0.3, "lr": args.rate}]
    )
    base = [args.rate, args.rate]
    # What is written is the mean over the last steps, which is steadier than the last.
    steady = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))
    hard = []
    step, began = 0, time.time()
    steps = epochs * math.ceil((len(train) + PROMPTS_PER_EPOCH + 3 * ABOUT_PER_EPOCH + TOLD_PER_EPOCH + 600) / BATCH)
    for epoch in range(epochs):
        model.train()
        rows = [(vary.said(text), subject, is_one) for text, subject, is_one, _ in train]
        rows += [(text if rng.random() < 0.5 else vary.said(text), -1, False) for text in rng.sample(harmless, PROMPTS_PER_EPOCH)]
        rows += [(vary.said(vary.about()), -1, False) for _ in range(ABOUT_PER_EPOCH)]
        rows += [(vary.said(vary.of_nobody()), -1, False) for _ in range(ABOUT_PER_EPOCH)]
        rows += [(vary.said(vary.harmless()), -1, False) for _ in range(ABOUT_PER_EPOCH)]
        told = [vary.told() for _ in range(TOLD_PER_EPOCH)]
        rows += [(vary.said(text), SUBJECTS.index(subject) if subject in SUBJECTS else -1, True) for subject, text in told]
        rows += [(vary.said(text), -1, False) for text in rng.sample(hard, min(600, len(hard)))]
        examples = [(tokens_of(text, vocabulary), subject, is_one) for text, subject, is_one in rows]
        examples = [one for one in examples if len(one[0].rows)]
        examples.sort(key=lambda one: len(one[0].rows) + rng.randrange(12))
        batches = [examples[at : at + BATCH] for at in range(0, len(examples), BATCH)]
        rng.shuffle(batches)
        total = 0.0
        for batch in batches:
            share = step / steps
            for group, rate in zip(optimiser.param_groups, base, strict=True):
                group["lr"] = rate * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, share))))
            *inputs, owner = batch_of([one for one, *_ in batch])
            logits = model(*inputs, noise=args.noise, drop=args.drop)
            # The window that speaks loudest stands for its text.
            best = torch.zeros(len(batch), dtype=torch.int64)
            first = logits[:, 0].detach().tolist()
            for row, at in enumerate(owner.tolist()):
                if first[row] >= first[best[at]] or owner[best[at]] != at:
                    best[at] = row
            chosen = logits[best]
            truth = torch.tensor([float(is_one) for *_, is_one in batch])
            subject = torch.tensor([subject for _, subject, _ in batch])
            loss = nn.functional.binary_cross_entropy_with_logits(chosen[:, 0], truth * 0.96 + 0.02)
            if (subject >= 0).any():
                loss = loss + 0.3 * nn.functional.cross_entropy(chosen[:, 1:], subject, ignore_index=-1)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            steady.update_parameters(model)
            step += 1
            total += loss.item()
        if epoch in (epochs // 3, 2 * epochs // 3):
            # What harmless prompts it takes for statements is shown to it more often.
            sample = rng.sample(harmless, 6000)
            scores = judged(model, [tokens_of(text, vocabulary) for text in sample])
            hard = [sample[at] for at in np.argsort(-scores)[:600]]
        if epoch % 5 == 4 or epoch == epochs - 1:
            report(f"epoch {epoch} loss {total / len(batches):.4f} {time.time() - began:.0f} s", flush=True)
    return steady.module.eval(), vocabulary


def recall_at(clean, ones, share):
    """Return the share of statements above the score that so many harmless texts reach."""
    bound = np.quantile(clean, 1 - share)
    return float((ones > bound).mean())


def held_out(args, pieces, known, everything, harmless):
    """Train without each author in turn and measure on them."""
    spare = random.Random(7).sample(harmless, 4000)
    used = set(spare)
    rest = [text for text in harmless if text not in used]
    for author in args.without or [*everything]:
        train = [row for name, rows in everything.items() if name != author for row in rows]
        model, vocabulary = fit(args, pieces, known, train, rest, epochs=args.epochs, seed=args.seed)
        rows = everything[author]
        scores = judged(model, [tokens_of(text, vocabulary) for text, *_ in rows])
        is_one = np.array([row[2] for row in rows])
        told = {f"{share:.1%}": round(recall_at(scores[~is_one], scores[is_one], share), 3) for share in (0.005, 0.01, 0.02, 0.05)}
        at_prompts = judged(model, [tokens_of(text, vocabulary) for text in spare])
        with tempfile.TemporaryDirectory() as folder:
            export(model, pieces, Path(folder) / "net.npz")
            net = read(Path(folder) / "net.npz")
        senses = Senses(learned(shipped_detectors(), net))
        held = np.array([level in HELD for level in levels(senses, [text for text, *_ in rows])])
        topic = np.array([kind in TOPICS for *_, kind in rows]) & ~is_one
        print(
            json.dumps(
                {
                    "author": author,
                    "statements": int(is_one.sum()),
                    "clean": int((~is_one).sum()),
                    "net_recall_at_clean": told,
                    "net_sure_of_prompts": round(float((at_prompts >= math.log(SURE / (1 - SURE))).mean()), 4),
                    "recall": round(float(held[is_one].mean()), 3),
                    "clean_held": round(float(held[~is_one].mean()), 4),
                    "topics_held": round(float(held[topic].mean()), 4) if topic.any() else None,
                }
            ),
            flush=True,
        )
        if args.scores:
            np.savez(f"{args.scores}-{author}.npz", scores=scores, is_one=is_one, prompts=at_prompts)


def export(model, pieces, path):
    """Write what `hybridrt.sense.statement.read` reads."""
    with torch.inference_mode():
        table = model.table().numpy()
        scale = np.maximum(np.abs(table).max(0), 1e-6) / 127
        half = np.float16
        weights = {
            "table": np.round(table / scale).astype(np.int8),
            "table_scale": scale.astype(np.float32),
            "case": model.case.weight.numpy().astype(half),
            "near": model.near.weight.numpy().T.reshape(len(NEAR), MEANING, HIDDEN).astype(half),
            "near_bias": model.near.bias.numpy().astype(half),
            "far": model.far.numpy().astype(half),
            "mixed": np.stack([one.weight.numpy().T for one in model.mixed]).astype(half),
            "mixed_bias": np.stack([one.bias.numpy() for one in model.mixed]).astype(half),
            "heed": model.heed.weight.numpy().T.astype(half),
            "middle": model.middle.weight.numpy().T.astype(half),
            "middle_bias": model.middle.bias.numpy().astype(half),
            "out": model.out.weight.numpy().T.astype(half),
            "out_bias": model.out.bias.numpy().astype(half),
            "pieces": np.frombuffer("\n".join(pieces).encode(), dtype=np.uint8),
        }
    np.savez_compressed(path, **weights)


# Made up; what training says of them is kept, and inference must say the same.
EXAMPLES = (
    "What is HIV?",
    "my brother was diagnosed with schizophrenia, how do I tell our parents",
    "The landlord at Kalina's wants to know whether she keeps kosher.\nWhat should I answer?",
    "Write a short story about a lawyer who drinks.",
    "naïve café owner, 2024: 3,50 € a cup!",
)


def vectors(model, vocabulary):
    """Return what training says of the examples."""
    kept = []
    for text in EXAMPLES:
        *inputs, _ = batch_of([tokens_of(text, vocabulary)])
        with torch.inference_mode():
            kept.append({"text": text, "shares": [round(share, 4) for share in torch.sigmoid(model(*inputs)[:, 0]).tolist()]})
    return kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pieces", type=Path)
    parser.add_argument("routing", type=Path)
    parser.add_argument("target", type=Path, nargs="?")
    parser.add_argument("--start", type=Path, help="what teach.py wrote")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--without", nargs="*", default=None)
    parser.add_argument("--scores", help="write the scores to PREFIX-AUTHOR.npz")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--swap", type=float, default=0.4)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--drop", type=float, default=0.3)
    args = parser.parse_args()
    with np.load(args.pieces) as stored:
        known, pieces = stored["table"], str(stored["pieces"]).split("\n")
    everything, harmless = authors(), prompts(args.routing)
    print(
        {author: (sum(row[2] for row in rows), sum(not row[2] for row in rows)) for author, rows in everything.items()},
        len(harmless),
        flush=True,
    )
    if args.target is None:
        held_out(args, pieces, known, everything, harmless)
        return
    model, _ = fit(args, pieces, known, [row for rows in everything.values() for row in rows], harmless, epochs=args.epochs, seed=args.seed)
    export(model, pieces, args.target)
    print(args.target.stat().st_size, "bytes")
    if args.vectors:
        args.vectors.write_text(json.dumps(vectors(model, read(args.target).vocabulary), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
