"""Teach the net what a sentence encoder makes of whole texts, before it learns what a statement is.

    python -m training.statement.teach pieces.npz texts.json vectors.npy start.pt

`texts.json` and `vectors.npy` come from read.py: texts, and what the encoder makes of each.
"""

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from hybridrt.sense.statement import FIRST_PIECE, windows
from training.statement.fit import Net, batch_of, tokens_of

EPOCHS, BATCH, RATE = 6, 64, 2e-3
KNOWN = 25


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    rng = random.Random(3)
    with np.load(sys.argv[1]) as stored:
        known, pieces = stored["table"], str(stored["pieces"]).split("\n")
    epochs = int(sys.argv[5]) if len(sys.argv) > 5 else EPOCHS
    vocabulary = {piece: row for row, piece in enumerate(pieces, FIRST_PIECE)}
    texts = json.loads(Path(sys.argv[2]).read_text("utf-8"))
    truth = np.load(sys.argv[3]).astype(np.float32)
    mean = truth.mean(0)
    truth -= mean
    truth /= np.linalg.norm(truth, axis=1, keepdims=True) + 1e-6
    examples = [tokens_of(text, vocabulary) for text in texts]
    kept = [at for at, tokens in enumerate(examples) if len(tokens.rows) and len(windows(len(tokens.rows))) == 1]
    counts = Counter(row for at in kept for row in set(examples[at].rows.tolist()))
    seen = torch.zeros(len(pieces) + FIRST_PIECE)
    for row, count in counts.items():
        seen[row] = float(count >= KNOWN)
    model = Net(torch.from_numpy(known), seen)
    moved = [model.moved.weight]
    rest = [value for name, value in model.named_parameters() if name != "moved.weight"]
    optimiser = torch.optim.AdamW([{"params": rest, "weight_decay": 0.01}, {"params": moved, "weight_decay": 0.1}], lr=RATE)
    held, kept = kept[:500], kept[500:]
    steps, step, began = epochs * (len(kept) // BATCH + 1), 0, time.time()
    for epoch in range(epochs):
        order = sorted(kept, key=lambda at: len(examples[at].rows) + rng.randrange(8))
        batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
        rng.shuffle(batches)
        model.train()
        total = 0.0
        for batch in batches:
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1.0, (step + 1) / 200) * max(0.03, 1 - step / steps)
            *inputs, _ = batch_of([examples[at] for at in batch])
            said = torch.nn.functional.normalize(model(*inputs, noise=0.15, drop=0.05, taught=True), dim=1)
            want = torch.from_numpy(truth[batch])
            # Close to what the encoder says, and closer to it than to what it says of the others.
            alike = said @ want.T
            loss = 1 - alike.diagonal().mean() + 0.1 * torch.nn.functional.cross_entropy(alike * 15, torch.arange(len(batch)))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            step += 1
            total += loss.item()
        model.eval()
        with torch.inference_mode():
            *inputs, _ = batch_of([examples[at] for at in held])
            said = torch.nn.functional.normalize(model(*inputs, taught=True), dim=1)
            alike = (said * torch.from_numpy(truth[held])).sum(1).mean().item()
        print(f"epoch {epoch} loss {total / len(batches):.4f} alike {alike:.4f} {time.time() - began:.0f} s", flush=True)
        torch.save(model.state_dict(), sys.argv[4])


if __name__ == "__main__":
    main()
