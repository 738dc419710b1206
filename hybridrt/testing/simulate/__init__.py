"""A deterministic simulator: the real router, walk, gate, transport and adapters over a net, a clock and a ledger that are not.

    python -m hybridrt.testing.simulate --schedules 10000 --seed 1 --json

A seed stands for one schedule: some requests of mixed sensitivity, what breaks, who cancels, in which order ready tasks run. The same
seed plays the same way again, so a seed that fails is a test that fails.
"""

from __future__ import annotations

from hybridrt.testing.simulate.finding import Finding, findings
from hybridrt.testing.simulate.run import Report, play_all
from hybridrt.testing.simulate.schedule import Ask, Schedule, draw
from hybridrt.testing.simulate.world import Parts, Played, Stage

__all__ = ["Ask", "Finding", "Parts", "Played", "Report", "Schedule", "Stage", "draw", "findings", "play_all"]
