"""What a child gives up before it reads a file it cannot trust. Each step by itself; what could not be given up is said.

All of it is done by system calls, through the C library that is in the process anyhow.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# The memory the kernel frees first when there is too little: this process, before the application that started it.
_OOM_SCORE = "500"
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_SIGKILL = 9
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_AF_INET, _SOCK_STREAM = 2, 1
# The port of `discard`; nothing listens there, and what would gets no byte.
_NOWHERE = struct.pack("<H", _AF_INET) + struct.pack(">H", 9) + bytes([127, 0, 0, 1]) + bytes(8)
# How a connect fails where there is no network; a refusal by the other side means that there is one.
_CLOSED = (errno.EPERM, errno.EACCES, errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.ENOSYS)

# For each machine: its mark in a filter, the call that sets a filter, and the calls that are refused. Sockets of every family
# and whatever makes them by a side door; other programs and processes; the memory, the descriptors and the life of other processes.
_MACHINES: dict[str, tuple[int, int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        317,
        {"socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "accept4": 288, "io_uring_setup": 425, "io_uring_enter": 426}
        | {"io_uring_register": 427, "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311}
        | {"pidfd_getfd": 438, "pidfd_send_signal": 424, "kill": 62, "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297}
        | {"fork": 57, "vfork": 58},
    ),
    "aarch64": (
        0xC00000B7,
        277,
        {"socket": 198, "connect": 203, "accept": 202, "bind": 200, "listen": 201, "accept4": 242, "io_uring_setup": 425}
        | {"io_uring_enter": 426, "io_uring_register": 427, "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270}
        | {"process_vm_writev": 271, "pidfd_getfd": 438, "pidfd_send_signal": 424, "kill": 129, "tkill": 130, "rt_sigqueueinfo": 138}
        | {"rt_tgsigqueueinfo": 240},
    ),
}
_TGKILL = {"x86_64": 234, "aarch64": 131}
# New processes are refused, new threads are not. What a `clone3` is to make stands where no filter can look, and C libraries
# fall back to `clone` when they hear that there is none.
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3, _CLONE_THREAD = 435, 0x10000
# Calls of the second 64-bit interface of x86 have this bit; the numbers above do not cover them.
_X32_BIT = 0x40000000


def confine() -> list[str]:
    """Give up what can be given up here, and return the names of what was. Called before the process has a second thread."""
    steps: dict[str, Callable[[], bool]] = {"no core dump": _no_core, "first to go": _first_to_go}
    if sys.platform == "linux":
        steps |= {
            "no new rights": _no_new_rights,
            "empty network": _empty_network,
            "no sockets": _no_sockets,
            "ends with its parent": _ends,
        }
    elif sys.platform == "darwin":
        steps["sandbox without network"] = _sandbox
    done = []
    for name, step in steps.items():
        with suppress(OSError, AttributeError, ImportError, ValueError):
            if step():
                done.append(name)
    if is_network_closed():
        done.append("network closed")
    return done


def is_network_closed() -> bool:
    """Try to reach this machine itself; only a refusal by the system counts, and not one by whoever is there."""
    if sys.platform == "win32":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.socket(_AF_INET, _SOCK_STREAM, 0)
    if handle < 0:
        return ctypes.get_errno() in _CLOSED
    address = _NOWHERE if sys.platform == "linux" else bytes([16, _AF_INET]) + _NOWHERE[2:]
    try:
        return libc.connect(handle, address, len(address)) != 0 and ctypes.get_errno() in _CLOSED
    finally:
        os.close(handle)


def _no_core() -> bool:
    """A dump of its memory would hold the requests it answers."""
    import resource

    # One byte, not none: Linux hands the dump to a collecting program whatever the limit is, unless it is exactly 1.
    limit = 1 if sys.platform == "linux" else 0
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
    return True


def _first_to_go() -> bool:
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - no path of anybody's
        file.write(_OOM_SCORE)
    return True


def _no_new_rights() -> bool:
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _ends() -> bool:
    """The kernel ends it when the thread that started it does; the end of its input says the same everywhere."""
    return _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def _prctl(option: int, value: int) -> bool:
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) == 0)


def _empty_network() -> bool:
    """A network of its own with nothing in it. Root may have one; others need a namespace of users, which many systems refuse."""
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    return bool(unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _no_sockets() -> bool:
    """Let the kernel refuse the calls of the table, in every thread, for ever. Needs no rights once new ones were given up."""
    machine = os.uname().machine
    mark, seccomp, _ = _MACHINES.get(machine, (0, 0, {}))
    if not mark or struct.calcsize("P") != 8:
        return False
    code = call_filter(machine, os.getpid())
    program = _Program(len(code) // 8, code)
    libc: Any = ctypes.CDLL(None, use_errno=True)
    arguments = (seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC)
    return bool(libc.syscall(*map(ctypes.c_long, arguments), ctypes.byref(program)) == 0)


def call_filter(machine: str, pid: int) -> bytes:
    """Return the filter of a machine in the form of the kernel: refused calls fail with `EPERM`, all others pass.

    A process may signal itself, which is how `abort` ends it, and nobody else.
    """
    mark, _, refused = _MACHINES[machine]
    load, equal, at_least, has_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
    # Each row: operation, rows to skip if true, rows to skip if false, value; -1 stands for the way to the refusal.
    rows: list[tuple[int, int, int, int]] = [(load, 0, 0, 4), (equal, 0, -1, mark), (load, 0, 0, 0)]
    if machine == "x86_64":
        rows.append((at_least, -1, 0, _X32_BIT))
    rows += [(equal, -1, 0, number) for number in refused.values()]
    rows += [(equal, 0, 1, _CLONE3), (give, 0, 0, unknown)]
    rows += [(equal, 0, 3, _CLONE[machine]), (load, 0, 0, 16), (has_bit, 0, -1, _CLONE_THREAD), (give, 0, 0, allow)]
    rows += [(equal, 0, 2, _TGKILL[machine]), (load, 0, 0, 16), (equal, 0, -1, pid), (give, 0, 0, allow), (give, 0, 0, refuse)]
    last = len(rows) - 1
    return b"".join(
        struct.pack("=HBBI", operation, *(last - at - 1 if skip < 0 else skip for skip in (yes, no)), value)
        for at, (operation, yes, no, value) in enumerate(rows)
    )


def _sandbox() -> bool:
    """Ask the sandbox of macOS for its profile without network."""
    library = ctypes.CDLL("/usr/lib/libSystem.dylib")
    fault = ctypes.c_char_p()
    return bool(library.sandbox_init(b"no-network", ctypes.c_uint64(1), ctypes.byref(fault)) == 0)
