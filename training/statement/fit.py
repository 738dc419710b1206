"""Train the detector of statements and write `hybridrt/sense/statement.npz` and `statement.onnx`.

    python -m training.statement.fit pieces.npz said ROUTING_FOLDER hybridrt/sense --vectors tests/sense/statement_vectors.json

`pieces.npz` comes from embed.py, `said.npz` and `said.json` from say.py: texts, what we know of them and what the teacher says. In the
last third the harmless prompts of the routing folder that it takes for statements are shown to it as well. Needs torch (the CPU build
is enough) and onnx. One thread; the same seed gives the same weights. `--start` goes on from weights that are there.
"""

import argparse
import hashlib
import json
import math
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hybridrt.sense.passage import prepare
from hybridrt.sense.statement import FIRST_PIECE, MODEL, NET, SUBJECTS, read, tokenize, windows
from hybridrt.sense.wordlist import wordset

HERE = Path(__file__).parent
SENSING = HERE.parents[1] / "benchmarks" / "sensing" / "texts"
# Numbers of a piece, and of what it says; heads that pool; layers that look about.
MEANING, HIDDEN, HEADS, LAYERS = 64, 192, 2, 3
# How far the first layer sees to both sides, and each of the others.
NEAR, FAR = 2, 7
# What keeps a place without a piece out of the largest and out of the mean.
OUTSIDE = 1e4
LED = 128
BATCH = 48
# Texts that are not learned from, to see how it goes.
HELD_BACK = 2000
# Harmless prompts shown in an epoch of the last third: so many of those that sound most like statements, looked for among so many.
MOST_ALIKE, LOOKED_AT = 2_500, 12_000
# How much counts what we know of a text beside what the teacher says of it.
KNOWN_SHARE = 0.4
# The sets of the measurement that were written before and tuned to anyway; later ones are kept to measure with.
LEARNED = "12345"
# Authors on whose texts the bounds of `hybridrt.sense.statements` were chosen.
CHOSEN_ON = "JK"
# A piece seen so often in the texts may move away from what the encoder says of it.
KNOWN = 6
# Found by patterns, wherever they stand: they say nothing of statements.
STRUCTURED = {"credential", "address", "contact", "bank_account", "government_id", "payment_card"}
SUBJECT = {"phi": "health", "name_private": "personal_matter", "credential_prose": "password"}


def labelled(path):
    """Yield label and text of each line."""
    for line in path.read_text("utf-8").splitlines():
        if " | " in line and not line.startswith("#"):
            label, _, text = line.partition(" | ")
            yield label.strip(), text.replace("\\n", "\n")


def authors():
    """Return the texts of each author: text, subject of a statement (-1: another), whether it is one, and its kind."""
    found = {}
    files = [path for path in SENSING.glob("*.txt") if path.stem[-1] in LEARNED]
    files += [path for path in (HERE / "texts").glob("*.txt") if path.stem[-1] not in CHOSEN_ON]
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


class Body(nn.Module):
    """What stands close by each piece, then what stands about it, further away with every layer: the part that becomes `statement.onnx`."""

    def __init__(self):
        super().__init__()
        self.near = nn.Conv1d(MEANING, HIDDEN, 2 * NEAR + 1, padding=NEAR)
        self.far = nn.ModuleList(nn.Conv1d(HIDDEN, HIDDEN, 2 * FAR + 1, padding=FAR, groups=HIDDEN, bias=False) for _ in range(LAYERS))
        self.mixed = nn.ModuleList(nn.Conv1d(HIDDEN, HIDDEN, 1) for _ in range(LAYERS))

    def forward(self, pieces, inside, drop=0.0):
        """Return what each piece says; `inside` is 1 where a piece is and 0 where none is."""
        here = inside[:, None, :]
        layer = torch.relu(self.near(pieces.transpose(1, 2))) * here
        layer = nn.functional.dropout(layer, drop, self.training)
        for far, mixed in zip(self.far, self.mixed, strict=True):
            more = torch.relu(mixed(far(layer)))
            layer = (layer + nn.functional.dropout(more, drop, self.training)) * here
        return layer.transpose(1, 2)


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
        self.body = Body()
        self.heed = nn.Linear(HIDDEN, HEADS, bias=False)
        self.middle = nn.Linear(HIDDEN * (1 + HEADS), HIDDEN)
        self.out = nn.Linear(HIDDEN, 1 + len(SUBJECTS))
        # What led the teacher to what it says, which is learned along and not kept.
        self.led = nn.Linear(HIDDEN, LED)

    def table(self, rows=None):
        if rows is None:
            return self.small(self.known) + self.moved(self.place)
        return self.small(self.known[rows]) + self.moved(self.place[rows])

    def forward(self, rows, cases, inside, noise=0.0, drop=0.0):
        """Return the logits of each window, and what led to them."""
        pieces = self.table(rows)
        if noise:
            pieces = pieces + torch.randn_like(pieces) * noise * pieces.detach().std()
            pieces = pieces * (torch.rand(rows.shape) > 0.05)[:, :, None]
        pieces = (nn.functional.dropout(pieces, drop / 2, self.training) + self.case(cases)) * inside[:, :, None]
        layer = self.body(pieces, inside, drop)
        outside = (inside - 1)[:, :, None] * OUTSIDE
        heed = (self.heed(layer) + outside).softmax(1)
        pooled = [(layer + outside).max(1).values] + [(heed[:, :, n, None] * layer).sum(1) for n in range(HEADS)]
        pooled = nn.functional.dropout(torch.cat(pooled, 1), drop, self.training)
        middle = torch.relu(self.middle(pooled))
        return self.out(nn.functional.dropout(middle, drop, self.training)), self.led(middle)


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
                logits = model(*inputs)[0][:, 0]
                for at, logit in zip(owner.tolist(), logits.tolist(), strict=True):
                    scores[some[at]] = max(scores[some[at]], logit)
    return scores


def tokens_of(text, vocabulary):
    return tokenize(prepare(text).text, vocabulary)


def loss_of(ours, theirs, truth, subject):
    """Return how far a batch is from what is known of it and from what the teacher says of it: logits, and what led to them."""
    (logits, led), (said, led_teacher) = ours, theirs
    has_said = ~said[:, 0].isnan()
    teacher = torch.sigmoid(said[:, 0].nan_to_num())
    known = truth * 0.96 + 0.02
    share = torch.where(truth < 0, 0.0, torch.where(has_said, KNOWN_SHARE, 1.0))
    loss = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], share * known + (1 - share) * teacher)
    if (subject >= 0).any():
        loss = loss + 0.1 * nn.functional.cross_entropy(logits[:, 1:], subject, ignore_index=-1)
    if has_said.any():
        logits, said, weight = logits[has_said], said[has_said], teacher[has_said]
        loss = loss + 0.05 * ((logits[:, 0] - said[:, 0]) ** 2).mean()
        loss = loss + 0.2 * (weight * -(said[:, 1:].softmax(1) * logits[:, 1:].log_softmax(1)).sum(1)).mean()
        loss = loss + 0.5 * (1 - nn.functional.cosine_similarity(led[has_said], led_teacher[has_said], dim=1).mean())
    return loss


def fit(args, words, lessons, harmless, *, report=print):
    """Train on what is known and what the teacher says, and return the model."""
    (pieces, known), (found, said) = words, lessons
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    vocabulary = {piece: row for row, piece in enumerate(pieces, FIRST_PIECE)}
    examples = [tokens_of(text, vocabulary) for text, *_ in found]
    counts = Counter(row for tokens in examples for row in set(tokens.rows.tolist()))
    seen = torch.zeros(len(pieces) + FIRST_PIECE)
    for row, count in counts.items():
        seen[row] = float(count >= KNOWN)
    seen[:FIRST_PIECE] = 1
    # Of prompts that come later we know that they are none, and the teacher says nothing.
    truth, subject = (torch.tensor([row[place] for row in found] + [none] * MOST_ALIKE) for place, none in ((1, 0), (2, -1)))
    logits = torch.full((len(truth), said["logits"].shape[1]), torch.nan)
    logits[: len(found)] = torch.from_numpy(said["logits"].astype(np.float32))
    led = torch.zeros(len(truth), said["led"].shape[1])
    led[: len(found)] = torch.from_numpy(said["led"].astype(np.float32))
    led = led - led[~logits[:, 0].isnan()].mean(0)
    usable = [at for at, tokens in enumerate(examples) if len(tokens.rows)]
    held, usable = usable[:HELD_BACK], usable[HELD_BACK:]
    state = torch.load(args.start) if args.start else None
    # What may move is what moved before, so that the states fit.
    model = Net(torch.from_numpy(known), seen if state is None else (state["place"] > 0).float())
    if state is not None:
        model.load_state_dict(state)
    rest = [value for name, value in model.named_parameters() if name != "moved.weight"]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "weight_decay": 0.02}, {"params": [model.moved.weight], "weight_decay": 0.3}], lr=args.rate
    )
    # What is written is the mean over the last steps, which is steadier than the last.
    steady = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    steps, step, began = int(args.epochs * args.share * len(usable) / BATCH) + 1, 0, time.time()
    first = len(examples)
    for epoch in range(args.epochs):
        chosen = rng.sample(usable, int(args.share * len(usable)))
        if harmless and epoch >= 2 * args.epochs // 3:
            alike = most_alike(steady.module, rng.sample(harmless, min(len(harmless), LOOKED_AT)), vocabulary)
            examples, chosen = [*examples[:first], *alike], [*chosen, *range(first, first + len(alike))]
        order = sorted(chosen, key=lambda at: len(examples[at].rows) + rng.randrange(8))
        batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
        rng.shuffle(batches)
        model.train()
        total = 0.0
        for batch in batches:
            for group in optimiser.param_groups:
                group["lr"] = args.rate * min(1.0, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, step / steps))))
            *inputs, owner = batch_of([examples[at] for at in batch])
            told, led_ours = model(*inputs, noise=args.noise, drop=args.drop)
            best = loudest(told[:, 0].detach(), owner, len(batch))
            loss = loss_of((told[best], led_ours[best]), (logits[batch], led[batch]), truth[batch], subject[batch])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            steady.update_parameters(model)
            step += 1
            total += loss.item()
        scores = judged(steady.module, [examples[at] for at in held])
        is_known = (truth[held] >= 0).numpy()
        wrong = ((scores > 0) != truth[held].numpy().astype(bool))[is_known].mean()
        mean = total / len(batches)
        report(f"epoch {epoch} loss {mean:.4f} wrong of those held back {wrong:.4f} {time.time() - began:.0f} s", flush=True)
        torch.save(steady.module.state_dict(), args.state)
    return steady.module.eval()


def most_alike(model, texts, vocabulary):
    """Return the tokens of those texts that the model takes most for statements."""
    examples = [tokens for text in texts if len((tokens := tokens_of(text, vocabulary)).rows)]
    return [examples[at] for at in np.argsort(-judged(model, examples))[:MOST_ALIKE]]


def loudest(scores, owner, count):
    """Return the window that speaks loudest for each text."""
    best = torch.zeros(count, dtype=torch.int64)
    first = scores.tolist()
    for row, at in enumerate(owner.tolist()):
        if first[row] >= first[best[at]] or owner[best[at]] != at:
            best[at] = row
    return best


def export(model, pieces, folder):
    """Write what `hybridrt.sense.statement.read` reads."""
    with torch.inference_mode():
        table = model.table().numpy()
        scale = np.maximum(np.abs(table).max(0), 1e-6) / 127
        half = np.float16
        weights = {
            "table": np.round(table / scale).astype(np.int8),
            "table_scale": scale.astype(np.float32),
            "case": model.case.weight.numpy().astype(half),
            "heed": model.heed.weight.numpy().T.astype(half),
            "middle": model.middle.weight.numpy().T.astype(half),
            "middle_bias": model.middle.bias.numpy().astype(half),
            "out": model.out.weight.numpy().T.astype(half),
            "out_bias": model.out.bias.numpy().astype(half),
            "pieces": np.frombuffer("\n".join(pieces).encode(), dtype=np.uint8),
        }
    write_body(model.body, folder / NET)
    weights["net"] = np.frombuffer(hashlib.sha256((folder / NET).read_bytes()).digest(), dtype=np.uint8)
    np.savez_compressed(folder / MODEL, **weights)


class Flat(nn.Module):
    """The body as it ships: every place has a piece, and convolutions of pictures one line high, which run twice as fast there."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, pieces):
        body, conv = self.body, nn.functional.conv2d
        layer = torch.relu(conv(pieces.transpose(1, 2)[:, :, None], body.near.weight[:, :, None], body.near.bias, padding=(0, NEAR)))
        for far, mixed in zip(body.far, body.mixed, strict=True):
            about = conv(layer, far.weight[:, :, None], padding=(0, FAR), groups=HIDDEN)
            layer = layer + torch.relu(conv(about, mixed.weight[:, :, None], mixed.bias))
        return layer[:, :, 0].transpose(1, 2)


def write_body(body, path):
    """Write the part that reads windows."""
    free = {0: "windows", 1: "pieces"}
    torch.onnx.export(
        Flat(body).eval(),
        (torch.zeros(2, 8, MEANING),),
        path,
        input_names=["pieces"],
        output_names=["said"],
        dynamic_axes={"pieces": free, "said": free},
        opset_version=17,
        dynamo=False,
    )


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
            kept.append({"text": text, "shares": [round(share, 4) for share in torch.sigmoid(model(*inputs)[0][:, 0]).tolist()]})
    return kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pieces", type=Path)
    parser.add_argument("said", type=Path)
    parser.add_argument("routing", type=Path)
    parser.add_argument("target", type=Path, help="the folder of statement.npz and statement.onnx")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--state", type=Path, default=Path("statement.pt"), help="where the weights of training are kept")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--share", type=float, default=1.0, help="of the texts that are read in an epoch")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--noise", type=float, default=0.15)
    parser.add_argument("--drop", type=float, default=0.1)
    args = parser.parse_args()
    with np.load(args.pieces) as stored:
        known, pieces = stored["table"], str(stored["pieces"]).split("\n")
    with np.load(args.said.with_suffix(".npz")) as stored:
        said = dict(stored)
    found = json.loads(args.said.with_suffix(".json").read_text("utf-8"))
    model = fit(args, (pieces, known), (found, said), prompts(args.routing))
    export(model, pieces, args.target)
    if args.vectors:
        args.vectors.write_text(json.dumps(vectors(model, read(args.target).vocabulary), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
