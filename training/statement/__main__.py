"""Make the weights from the beginning: read the encoder, teach it what a statement is, and the small net what it then says.

    python -m training.statement ENCODER_FOLDER ROUTING_FOLDER WORK_FOLDER

About an hour and a half on one core. WORK_FOLDER keeps what one step leaves for the next.
"""

import subprocess
import sys
from pathlib import Path


def main():
    encoder, routing, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    pieces, teacher, said, state = (str(work / name) for name in ("pieces.npz", "teacher.pt", "said", "statement.pt"))
    for name, *arguments in (
        ("embed", encoder, pieces),
        ("tune", encoder, routing, teacher),
        ("say", encoder, routing, teacher, said),
        ("fit", pieces, said, routing, "hybridrt/sense", "--state", state, "--vectors", "tests/sense/statement_vectors.json"),
    ):
        subprocess.run([sys.executable, "-m", f"training.statement.{name}", *arguments], check=True)


if __name__ == "__main__":
    main()
