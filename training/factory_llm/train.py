"""Train the factory language model on a processor; stops and goes on from its checkpoint.

python -m training.factory_llm.train --out /tmp/factory_llm --steps 40000 --texts prompts.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn import functional

from training.factory_llm import public, token
from training.factory_llm.generate import Generator, Row, copying
from training.factory_llm.model import Llama, Shape

LENGTHS = (16, 24, 32, 48, 88)
TOKENS_PER_STEP = 6144
# Predicting the request too teaches what its words mean; a quarter of its places is enough, and scores are a quarter of the work.
PROMPT_WEIGHT, PROMPT_SHARE = 0.4, 0.25


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal: about half the steps of Adam for matrices this small."""

    def __init__(self, weights: list[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for weight in group["params"]:
                by_shape.setdefault(weight.shape, []).append(weight)
            for shape, weights in by_shape.items():
                updates = []
                for weight in weights:
                    state = self.state[weight]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(weight)
                    state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                    updates.append(weight.grad.lerp(state["momentum"], group["momentum"]))
                x = torch.stack(updates).bfloat16()
                if is_tall := shape[0] > shape[1]:
                    x = x.mT
                x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
                for _ in range(5):
                    a = x @ x.mT
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                if is_tall:
                    x = x.mT
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for weight, update in zip(weights, x.float(), strict=True):
                    weight.mul_(1 - group["lr"] * 0.01).add_(update, alpha=-group["lr"] * scale)


class Stream:
    """Batches of rows of about one length."""

    def __init__(self, seed: int, texts: list[Row]) -> None:
        self.rng = random.Random(seed)
        self.generator = Generator(seed, negatives=0.34 if texts else 0.45)
        self.texts = texts
        self.tokenizer = token.load()
        self.waiting: dict[int, list[tuple[list[int], list[int]]]] = {length: [] for length in LENGTHS}

    def row(self, step: int) -> tuple[list[int], list[int]]:
        roll = self.rng.random()
        share = max(0.05, 0.5 - step / 300)
        if roll < share:
            return self.tokenizer.row(copying(self.rng))
        if self.texts and roll < share + 0.17 * (1 - share):
            row = self.rng.choice(self.texts)
            said, asked = self.tokenizer.row(row)[::-1]
            # Of an action without its arguments only the name is learned.
            return asked, said if row.action == "escalate" else said[:1]
        return self.tokenizer.row(self.generator.row())

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens and the weight of each as a target."""
        while True:
            asked, said = self.row(step)
            length = next((length for length in LENGTHS if len(asked) + len(said) <= length + 1), None)
            if length is None:
                continue
            waiting = self.waiting[length]
            waiting.append((asked, said))
            if len(waiting) * length >= TOKENS_PER_STEP:
                tokens = torch.zeros(len(waiting), length + 1, dtype=torch.long)
                weights = torch.zeros(len(waiting), length + 1)
                for at, (ask, say) in enumerate(waiting):
                    tokens[at, : len(ask) + len(say)] = torch.tensor(ask + say)
                    weights[at, 1 : len(ask)] = PROMPT_WEIGHT * (torch.rand(len(ask) - 1) < PROMPT_SHARE)
                    weights[at, len(ask) : len(ask) + len(say)] = 1.0
                waiting.clear()
                return tokens, weights


def loss_of(model: Llama, states: Callable[[torch.Tensor], torch.Tensor], tokens: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean loss of the places that count."""
    with torch.autocast("cpu", torch.bfloat16):
        chosen = weights[:, 1:] > 0
        scores = model.scores(states(tokens[:, :-1])[chosen])
    losses = functional.cross_entropy(scores.float(), tokens[:, 1:][chosen], reduction="none")
    weight = weights[:, 1:][chosen]
    return (losses * weight).sum() / weight.sum()


@torch.no_grad()
def look(model: Llama, rows: list[Row], tokenizer: token.Tokenizer) -> dict[str, float]:
    """Return how often the first word is right, and every word of the answer, each after the right ones before it."""
    named = exact = 0
    for row in rows:
        asked, said = tokenizer.row(row)
        best = model(torch.tensor([asked + said]))[0].argmax(-1)[len(asked) - 1 : -1].tolist()
        named += best[0] == said[0]
        exact += best == said
    return {"name": round(named / len(rows), 4), "exact": round(exact / len(rows), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True, help="steps in all, the last quarter with falling rate")
    parser.add_argument("--texts", type=Path, help="public requests, see public.py")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=5)
    parser.add_argument("--feed-forward", type=int, default=448)
    parser.add_argument("--rate", type=float, default=0.02)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    shape = Shape(options.width, options.layers, options.heads, options.feed_forward)
    model = Llama(shape)
    states = torch.compile(model.states)
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and name != "token_embd.weight"]
    rest = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or name == "token_embd.weight"]
    muon = Muon(matrices, options.rate)
    adam = torch.optim.AdamW(rest, lr=0.004, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    first = 0
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "checkpoint.pt"
    if kept.exists():
        state = torch.load(kept)
        model.load_state_dict(state["model"])
        muon.load_state_dict(state["muon"])
        adam.load_state_dict(state["adam"])
        first = state["step"]
    learn, seen = public.read(options.texts) if options.texts else ([], [])
    stream = Stream(options.seed * 1000 + first, learn)
    tokenizer = stream.tokenizer
    held = Generator(5, held_out=True, negatives=0.0)
    known = Generator(6)
    sets = {
        "unseen": [held.row() for _ in range(200)],
        "seen": [known.row() for _ in range(100)],
        "public": random.Random(1).sample([row for row in seen if row.action == "escalate" and len(row.text) < 120], 100) if seen else [],
    }
    print(f"{sum(weight.numel() for weight in model.parameters())} parameters, from step {first}", flush=True)
    began, last, average, count = time.time(), time.time(), None, 0
    step, steps, told = first, options.steps, options.out / "steps"
    while step < steps:
        if told.exists():  # the number of steps may be told while it runs, by a file beside the checkpoint
            steps = int(told.read_text() or steps)
        # Warmed up again after a stop: what it goes on with may have grown.
        fall = min(1.0, max(0.0, (steps - step) / (steps / 4)), (step + 1 - first) / 60)
        for optimizer, rate in ((muon, options.rate), (adam, 0.004)):
            for group in optimizer.param_groups:
                group["lr"] = rate * fall
        tokens, weights = stream.batch(step)
        count += len(tokens)
        loss = loss_of(model, states, tokens, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        muon.step()
        adam.step()
        model.zero_grad(set_to_none=True)
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if step % 20 == 19:
            print(f"{step + 1} loss {average:.4f} rows/s {count / (time.time() - began):.0f} at {time.time() - began:.0f} s", flush=True)
        if time.time() - last > 180 or step + 1 >= steps:
            last = time.time()
            torch.save(
                {
                    "model": model.state_dict(),
                    "muon": muon.state_dict(),
                    "adam": adam.state_dict(),
                    "step": step + 1,
                    "shape": asdict(shape),
                },
                options.out / "new.pt",
            )
            (options.out / "new.pt").replace(kept)
            print(json.dumps({"step": step + 1} | {name: look(model, rows, tokenizer) for name, rows in sets.items() if rows}), flush=True)
        step += 1


if __name__ == "__main__":
    main()
