"""Build .venv and install hybridrt into it, with every version pinned. Needs Python 3.11, a C++ compiler and nothing else.

    python3 .ci/install.py demo|dev

Says on screen what takes long and that it is alive. Does nothing when what is installed is what would be.
"""

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
LOG = VENV / "install.log"
EXTRAS = {"demo": "local,fast,signed", "dev": "all,dev"}
HEARTBEAT_S = 10


def main(kind: str) -> int:
    if sys.version_info < (3, 11):
        print(f"hybridrt needs Python 3.11 or newer; this is {sys.version.split()[0]}. Name another: make PYTHON=python3.12")
        return 1
    wanted = {name: stamp(name) for name in EXTRAS}
    done = VENV / "installed"
    if done.exists() and done.read_text() in (wanted[kind], wanted["dev"]):
        return 0
    if not (BIN / ("python.exe" if os.name == "nt" else "python")).exists():
        print("Making .venv ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    print(f"Installing hybridrt[{EXTRAS[kind]}] into .venv.", flush=True)
    print("llama-cpp-python has no ready-made build on the package index: the first time it is compiled here, which takes", flush=True)
    print("about four minutes on two cores. Later installs take it from pip's cache.", flush=True)
    if not pip_install(f"{ROOT}[{EXTRAS[kind]}]"):
        return 1
    done.write_text(wanted[kind])
    return 0


def stamp(kind: str) -> str:
    """What decides the outcome of an install, as one line."""
    digest = hashlib.sha256(f"{kind} {sys.version} {ROOT}".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def pip_install(what: str) -> bool:
    """Install with a sign of life every few seconds; show the end of the log when it fails."""
    command = [str(BIN / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt"), "-e", what]
    with LOG.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        alive = threading.Thread(target=show_life, args=(process,), daemon=True)
        alive.start()
        code = process.wait()
        alive.join()
    if code:
        print(f"\nThe install failed. The end of {LOG}:\n")
        print("\n".join(LOG.read_text(errors="replace").splitlines()[-30:]))
        print("\nIf a compiler is missing: apt-get install g++ (Debian), xcode-select --install (macOS), the C++ build tools (Windows).")
    return code == 0


def show_life(process: "subprocess.Popen[bytes]") -> None:
    began = time.monotonic()
    told = began
    while process.poll() is None:
        time.sleep(0.2)
        if time.monotonic() - told >= HEARTBEAT_S:
            told = time.monotonic()
            print(f"  {int(told - began):4d} s  {doing()}", flush=True)
    print(f"  {int(time.monotonic() - began):4d} s  done" if process.returncode == 0 else "", flush=True)


def doing() -> str:
    """The last thing pip said, in a few words."""
    lines = [line.strip() for line in LOG.read_text(errors="replace").splitlines() if line.strip() and not line.startswith("WARNING")]
    last = lines[-1] if lines else "starting"
    if "Building wheel for llama" in last or "still running" in last:
        return "compiling llama.cpp"
    return last[:80]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "dev"))
