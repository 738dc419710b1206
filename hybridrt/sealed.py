"""Objects that hold content and never show it.

A prompt that appears in a `repr` appears in a log line, in a traceback uploaded by an error reporter and in a pickle on
disk. Every class that holds words of a person derives from `Sealed`.
"""

from typing import NoReturn


class Sealed:
    """Hide the content of a frozen dataclass from `repr`, `str` and pickle."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: sealed>"

    def __str__(self) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds content and cannot be pickled or copied; use dataclasses.replace")
