"""How many threads to compute with, found out while computing.

Threads of a matrix product wait for each other at barriers, spinning. On a quiet machine the second one brings a third; when a
neighbour takes its core for a moment all others wait, and two threads were measured up to 77 times slower than one. So the
number is tried, never assumed: the safest first, another one for a few steps at a time, given up at its second bad step. While the
thread itself does not get its core for the whole of the time, nothing is tried at all: others would get theirs even less.
"""

from __future__ import annotations

import statistics

# Steps of one trial, and before the first one: enough for a median that a few interruptions do not move.
_TRIAL = 12
_SETTLED = 24
# The second step that takes so much longer than usual ends the trial, or the first very bad one: the threads wait for each other.
_BAD, _VERY_BAD = 2.0, 4.0
# Less of a core than this means that somebody else wants it too.
_ITS_OWN = 0.9
# A step must take at most this share: below a tenth the difference is noise, and fewer threads leave more to the application.
_BETTER = 0.9
# The level moved so far: somebody came or went, and what was found out is no longer true.
_MOVED = 1.35
# Seconds of computing until the next trial; doubled with each one that changes nothing.
_PATIENCE_S, _MAX_PATIENCE_S = 1.0, 32.0


class Threads:
    """The number of threads for one kind of work. It is told how long each step took, and reads no clock."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        if not counts:
            raise ValueError("there must be a number of threads to choose")
        self._counts = counts
        self._best = counts[0]
        self._trial: int | None = None
        self._next = 0
        self._size = 0
        self._times: list[float] = []
        self._cpu_times: list[float] = []
        self._trial_times: list[float] = []
        self._level = 0.0
        self._since_s = 0.0
        self._patience_s = 0.0  # the first trial comes as soon as the level is known

    @property
    def count(self) -> int:
        """Compute the next step with so many."""
        return self._best if self._trial is None else self._trial

    @property
    def best(self) -> int:
        """What has proved best so far."""
        return self._best

    def note(self, size: int, seconds: float, cpu_s: float) -> None:
        """Learn how long a step took, and for how long of it this thread had a core. Steps of different size are not compared."""
        if len(self._counts) == 1:
            return
        if size != self._size:
            self._size, self._level, self._trial = size, 0.0, None
            self._times.clear()
            self._cpu_times.clear()
        if self._trial is None:
            self._note_usual(seconds, cpu_s)
        else:
            self._note_trial(seconds)

    def _note_usual(self, seconds: float, cpu_s: float) -> None:
        self._times = [*self._times[1 - _SETTLED :], seconds]
        self._cpu_times = [*self._cpu_times[1 - _SETTLED :], cpu_s]
        self._since_s += seconds
        if len(self._cpu_times) < _SETTLED:
            return
        if sum(self._cpu_times) < _ITS_OWN * sum(self._times):
            if self._best != self._counts[0]:
                self._best, self._level = self._counts[0], 0.0
                self._times.clear()
                self._cpu_times.clear()
            return
        median = statistics.median(self._times)
        if self._level and not self._level / _MOVED < median < self._level * _MOVED:
            self._patience_s = min(self._patience_s, _PATIENCE_S)
            self._level = median
        self._level = self._level or median
        if self._since_s >= self._patience_s:
            self._begin_trial()

    def _begin_trial(self) -> None:
        others = [count for count in self._counts if count != self._best]
        self._trial = others[self._next % len(others)]
        self._next += 1
        self._trial_times.clear()

    def _note_trial(self, seconds: float) -> None:
        # The first step with another number wakes or ends threads and tells little else.
        usual = statistics.median(self._times)
        self._trial_times.append(seconds)
        measured = self._trial_times[1:]
        # A trial that looks good goes on for three times as long: one number in several wins a short one by luck.
        is_good = len(measured) >= _TRIAL and statistics.median(measured) < usual * _BETTER
        is_bad = seconds > usual * _VERY_BAD or sum(took > usual * _BAD for took in self._trial_times) > 1
        if not is_bad and (len(measured) < _TRIAL or (is_good and len(measured) < 3 * _TRIAL)):
            return
        trial, self._trial = self._trial, None
        if trial is not None and is_good and len(measured) == 3 * _TRIAL:
            self._best = trial
            self._times = measured[-_SETTLED:]
            self._cpu_times.clear()
            self._level, self._patience_s = 0.0, _PATIENCE_S
        else:
            self._patience_s = min(_MAX_PATIENCE_S, max(_PATIENCE_S, 2 * self._patience_s))
        self._since_s = 0.0
