"""The public door: what leaves it in an error shows no content.

Error reporters upload the local variables of every frame of a traceback. So each public method hands its errors through
`cut`, which empties the frames below it and forgets the errors behind it.
"""

from __future__ import annotations

import traceback
from typing import TypeVar

from hybridrt.errors import HybridrtError

E = TypeVar("E", bound=BaseException)


def cut(error: E) -> E:
    """Return the error with frames emptied; one of ours also loses its traceback and its history."""
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        if step.__traceback__ is not None:
            traceback.clear_frames(step.__traceback__)
        step = step.__cause__ or step.__context__
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None) if isinstance(error, HybridrtError) else error
