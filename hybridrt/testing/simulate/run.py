"""Many schedules, and what came of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from operator import itemgetter

from hybridrt.testing.simulate.finding import Finding, findings
from hybridrt.testing.simulate.schedule import draw, storm
from hybridrt.testing.simulate.wire import WORD
from hybridrt.testing.simulate.world import Played, Stage

# A storm takes as long as a hundred schedules; one for each thousand is a tenth of the time.
STORM_EVERY = 1000


@dataclass(slots=True)
class Report:
    """Sums over schedules. `leaks`, `lost` and `late` count findings; `findings` counts those of every rule."""

    schedules: int = 0
    requests: int = 0
    answered: int = 0
    sends: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    resumed: int = 0
    hedged: int = 0
    requests_down: int = 0
    sends_down: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, tuple[Finding, ...]]] = field(default_factory=list)

    def add(self, played: Played) -> tuple[Finding, ...]:
        """Count one schedule, and return what did not hold in it."""
        self.schedules += 1
        self.requests += len(played.told)
        self.answered += sum(told.answer is not None for told in played.told)
        self.sends += len(played.net.sends)
        self.resumed += sum(told.answer is not None and bool(told.answer.seams) for told in played.told)
        self.hedged += _hedged(played)
        return self._note(played)

    def add_storm(self, played: Played) -> tuple[Finding, ...]:
        """Count one storm: how often requests are sent when nobody answers. Its rules must hold as well."""
        self.requests_down += len(played.told)
        self.sends_down += sum(bool(WORD.search(send.data)) for send in played.net.sends)
        return self._note(played)

    def include(self, other: Report) -> None:
        """Add what another run showed; runs side by side share their wall clock, and whoever knows better says so."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failed.sort(key=itemgetter(0))

    def _note(self, played: Played) -> tuple[Finding, ...]:
        found = findings(played)
        self.findings.update(finding.rule for finding in found)
        if found:
            self.failed.append((played.schedule.seed, found))
        return found

    def as_json(self) -> dict[str, object]:
        """The figures, plain."""
        return {
            "schedules": self.schedules,
            "per_second": round(self.schedules / self.wall_s, 1) if self.wall_s else None,
            "per_cpu_second": round(self.schedules / self.cpu_s, 1) if self.cpu_s else None,
            "leaks": self.findings["leak"],
            "lost": self.findings["lost"],
            "late": self.findings["late"],
            "sends_per_request": round(self.sends / self.requests, 3) if self.requests else None,
            "sends_per_request_all_down": round(self.sends_down / self.requests_down, 3) if self.requests_down else None,
            "other": {rule: count for rule, count in sorted(self.findings.items()) if rule not in ("leak", "lost", "late")},
            "requests": self.requests,
            "answered": self.answered,
            "sends": self.sends,
            "resumed": self.resumed,
            "hedged": self.hedged,
            "failed_seeds": [seed for seed, _ in self.failed[:20]],
        }


_SUMMED = tuple(each.name for each in fields(Report))


def _hedged(played: Played) -> int:
    """How often a second attempt off the device began while another of the same decision ran."""
    running: Counter[str] = Counter()
    hedged = 0
    for record in played.ledger.records:
        if record["kind"] == "attempt" and record["place"] != "device":
            running[record["decision"]] += 1
            hedged += running[record["decision"]] == 2
        elif record["kind"] == "attempt_ended" and record["place"] != "device":
            running[record["decision"]] -= 1
    return hedged


def storms_of(seeds: Sequence[int]) -> frozenset[int]:
    """After which seeds of a run a storm is played: in the middle of each thousand, and at the end where there is more than one."""
    return frozenset((*seeds[STORM_EVERY // 2 :: STORM_EVERY], *(seeds[-1:] if len(seeds) > 1 else ())))


def play_all(
    seeds: Sequence[int],
    stage: Stage | None = None,
    *,
    storms: frozenset[int] | None = None,
    tell: Tell | None = None,
    is_kept: bool = False,
    is_over: Callable[[], bool] = lambda: False,
) -> Report:
    """Play the schedules of these seeds one after the other, and the storms among them, until it `is_over`.

    `storms` are those of a longer run of which these seeds are a part.
    """
    stage = stage or Stage()
    storms = storms_of(seeds) if storms is None else storms
    report = Report()
    began, began_cpu = time.perf_counter(), time.thread_time()
    for seed in seeds:
        if is_over():
            break
        played = stage.play(draw(seed), is_kept=is_kept)
        found = report.add(played)
        if tell is not None:
            tell(report, played, found)
        if seed in storms:
            _play_storm(seed, stage, report, tell)
    report.wall_s, report.cpu_s = time.perf_counter() - began, time.thread_time() - began_cpu
    return report


def play_storm(seed: int, *, tell: Tell | None = None, is_kept: bool = False) -> Report:
    """Play the storm of one seed alone."""
    report = Report()
    _play_storm(seed, Stage(), report, tell, is_kept=is_kept)
    return report


def _play_storm(seed: int, stage: Stage, report: Report, tell: Tell | None, *, is_kept: bool = False) -> None:
    played = stage.play(storm(seed), is_kept=is_kept)
    found = report.add_storm(played)
    if tell is not None:
        tell(report, played, found)


Tell = Callable[[Report, Played, tuple[Finding, ...]], None]
