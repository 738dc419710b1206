"""What each piece of the vocabulary means by itself, as a sentence encoder sees it, in few dimensions.

    python -m training.statement.embed ENCODER_FOLDER pieces.npz

ENCODER_FOLDER holds `vocab.txt`, `config.json` and `model.safetensors` of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0).
Every piece is read alone; the principal directions of what comes out are kept. Needs torch and transformers.
"""

import re
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import BertModel

DIMENSIONS = 160
BATCH = 512
# Letters of the Latin alphabet, digits and ASCII marks: what English is written with.
_LATIN = re.compile(r"(?:##)?[a-z0-9\u00df-\u00ff]+|[!-/:-@\[-`{-~\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u20ac\u00a3\u00a7\u00b0]")


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    pieces = (source / "vocab.txt").read_text("utf-8").split("\n")
    kept = [(number, piece) for number, piece in enumerate(pieces) if _LATIN.fullmatch(piece)]
    model = BertModel.from_pretrained(source).eval()
    first, last = pieces.index("[CLS]"), pieces.index("[SEP]")
    rows = []
    with torch.inference_mode():
        for at in range(0, len(kept), BATCH):
            numbers = torch.tensor([[first, number, last] for number, _ in kept[at : at + BATCH]])
            rows.append(model(input_ids=numbers).last_hidden_state.mean(1))
            print(at, end=" ", flush=True)
    table = torch.cat(rows).numpy()
    table = table - table.mean(0)
    # Rows stand in the order of how common a piece is; the rarest are not to decide what is kept.
    _, sizes, directions = np.linalg.svd(table, full_matrices=False)
    print((sizes[:DIMENSIONS] ** 2).sum() / (sizes**2).sum())
    small = table @ directions[:DIMENSIONS].T
    small /= small.std()
    np.savez(target, table=small.astype(np.float32), pieces=np.array("\n".join(piece for _, piece in kept)))


if __name__ == "__main__":
    main()
