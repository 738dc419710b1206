"""The public door: what leaves it in an error shows no content.

Error reporters upload the local variables of every frame of a traceback, and the words of every exception behind it. So each
public method hands its errors through `cut`: ours lose their traceback and their history; a bug becomes a `BugError` that says
its kind and where it happened; a cancellation passes with its frames emptied.
"""

from __future__ import annotations

import traceback

from hybridrt.errors import BugError, HybridrtError


def cut(error: BaseException) -> BaseException:
    """Return the error to raise instead of this one."""
    if isinstance(error, HybridrtError):
        error.__cause__ = error.__context__ = None
        error.__notes__ = [error.hint] if error.hint else []
        return error.with_traceback(None)
    if isinstance(error, Exception):
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
        return BugError(type(error).__name__, where=tuple(where))
    # A cancellation or the end of the program: the reason of whoever asked for it, and none of our words.
    if error.__traceback__ is not None:
        traceback.clear_frames(error.__traceback__)
    error.__cause__ = error.__context__ = None
    return error
