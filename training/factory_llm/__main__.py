"""Make the factory language model again: train, export, calibrate.

nice python -m training.factory_llm --texts prompts.jsonl --work /tmp/factory_llm
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

OUT = Path(__file__).parent.parent.parent / "hybridrt" / "local" / "factory" / "actions.gguf"
# The shape of the shipped file, and how long it was trained.
SHAPE = ("--width", "128", "--layers", "5", "--heads", "4", "--feed-forward", "384")
STEPS = 5200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True, help="where checkpoints go; what is there already is gone on from")
    parser.add_argument("--texts", type=Path, help="public requests, see public.py")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    texts = ("--texts", str(options.texts)) if options.texts else ()
    numbers = ("--steps", str(options.steps), "--seed", str(options.seed), "--threads", str(options.threads))
    for module, *arguments in (
        ("train", "--out", str(options.work), *numbers, *SHAPE, *texts),
        ("export", str(options.work / "checkpoint.pt"), "--out", str(options.out)),
        ("calibrate", str(options.out)),
    ):
        subprocess.run([sys.executable, "-m", f"training.factory_llm.{module}", *arguments], check=True)


if __name__ == "__main__":
    main()
