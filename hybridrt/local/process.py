"""How a process of ours is started, ended, and how its end is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

from hybridrt.errors import UnavailableError

# What a child needs from the environment: libraries, processors, folders. Keys and tokens are not among it.
_ENVIRONMENT = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LLAMA_CPP_LIB_PATH", "PYTHONHOME", "SYSTEMROOT", "WINDIR", "TEMP", "TMP", "TMPDIR"),
    *("LANG", "LC_ALL", "LC_CTYPE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"),
    *("ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "VK_ICD_FILENAMES", "VK_DRIVER_FILES"),
)


def say_exit(code: int | None) -> tuple[str, str]:
    """Say how a process ended that should not have, and what to do about it."""
    if code is None or code >= 0:
        return f"ended by itself ({code})", "verify the model file, or update what reads it"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return "was killed (SIGKILL)", "the memory may have run out: take a smaller model or window"
    if name == "SIGILL":
        return "crashed (SIGILL)", "the native library was built for another processor: build it on this machine"
    return f"crashed ({name})", "the model file may be damaged or hostile: verify it, take another, or update what reads it"


def child_command(module: str) -> list[str]:
    """Return the command line that runs a module of ours in a process of its own.

    Raises:
        UnavailableError: this process is no Python interpreter that could be started again.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        raise UnavailableError(
            "a model in a process of its own needs the Python interpreter, and this application has none",
            hint="remove `isolation: process`, or ship the application with an interpreter",
        )
    return [sys.executable, "-P", "-m", module]


def child_environment() -> dict[str, str]:
    """Return what a child may know of our environment, and where it finds the packages that we found."""
    found = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return found | {"PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path if isinstance(entry, str))}  # noqa: PTH100 - `Path` of an empty entry is `.`


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and, where there are groups, whatever it started."""
    with suppress(OSError):
        if process.poll() is None:
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
