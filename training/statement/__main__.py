"""Make the weights from the beginning: read the encoder, teach the net what it says, and train it on what we labelled.

    python -m training.statement ENCODER_FOLDER ROUTING_FOLDER WORK_FOLDER

About forty minutes on one core. WORK_FOLDER keeps what one step leaves for the next.
"""

import subprocess
import sys
from pathlib import Path


def main():
    encoder, routing, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    pieces, texts, vectors, start = (str(work / name) for name in ("pieces.npz", "texts.json", "vectors.npy", "start.pt"))
    for name, *arguments in (
        ("embed", encoder, pieces),
        ("read", encoder, routing, texts, vectors),
        ("teach", pieces, texts, vectors, start),
        ("fit", pieces, routing, "hybridrt/sense/statement.npz", "--start", start, "--vectors", "tests/sense/statement_vectors.json"),
    ):
        subprocess.run([sys.executable, "-m", f"training.statement.{name}", *arguments], check=True)


if __name__ == "__main__":
    main()
