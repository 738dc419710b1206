"""`python -m hybridrt.testing.simulate`: play schedules, print what did not hold and how to play it again."""

from __future__ import annotations

import argparse
import json
import sys

from hybridrt.testing.simulate.finding import Finding
from hybridrt.testing.simulate.run import Report, play_all, play_storm
from hybridrt.testing.simulate.schedule import MOST_ASKS
from hybridrt.testing.simulate.world import Played

# A minute or two: whoever waits for hours wants to see that it goes on.
SAID_EVERY = 10_000


def main(argv: list[str] | None = None) -> int:
    """Read the arguments, play, print. The exit status is 1 where a rule did not hold."""
    parser = argparse.ArgumentParser(prog="python -m hybridrt.testing.simulate", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="how many, one for each seed from --seed on")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else on standard output")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument(
        "--storm", action="store_true", help="play the storm of --seed alone: a thousand requests a second, everything down"
    )
    said = parser.parse_args(argv)

    def tell(report: Report, played: Played, found: tuple[Finding, ...]) -> None:
        for line in played.lines:
            sys.stderr.write(line + "\n")
        if found:
            seed = played.schedule.seed
            sys.stderr.write(f"seed {seed}: " + "; ".join(f"{each.rule}: {each.what}" for each in found) + "\n")
            which = "--schedules 1" if len(played.told) <= MOST_ASKS else "--storm"
            sys.stderr.write(f"  play it again: python -m hybridrt.testing.simulate --seed {seed} {which} --trace\n")
        if report.schedules and report.schedules % SAID_EVERY == 0 and len(played.told) <= MOST_ASKS:
            sys.stderr.write(f"{report.schedules} of {said.schedules}, {len(report.failed)} failed\n")

    if said.storm:
        report = play_storm(said.seed, tell=tell, is_kept=said.trace)
    else:
        report = play_all(range(said.seed, said.seed + said.schedules), tell=tell, is_kept=said.trace)
    figures = report.as_json()
    if said.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in figures.items()))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
