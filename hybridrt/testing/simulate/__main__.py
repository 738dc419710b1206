"""`python -m hybridrt.testing.simulate`: play schedules, print what did not hold and how to play it again."""

from __future__ import annotations

import argparse
import json
import sys

from hybridrt.testing.simulate.jobs import Chunk, Lost, chunks, play_among, play_here, show
from hybridrt.testing.simulate.run import Report, play_storm


def main(argv: list[str] | None = None) -> int:
    """Read the arguments, play, print. The exit status is 1 where a rule did not hold, or a process told nothing of its schedules."""
    parser = argparse.ArgumentParser(prog="python -m hybridrt.testing.simulate", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="how many, one for each seed from --seed on")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes play; the figures are those of one run")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else on standard output")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument(
        "--storm", action="store_true", help="play the storm of --seed alone: a thousand requests a second, everything down"
    )
    said = parser.parse_args(argv)
    if said.jobs < 1:
        parser.error("--jobs is 1 or more")
    if said.jobs > 1 and (said.trace or said.storm):
        parser.error("--trace and --storm are for one process: leave --jobs out")
    seeds = range(said.seed, said.seed + said.schedules)
    divided = chunks(seeds, said.jobs)

    def said_of_chunk(chunk: Chunk, report: Report, total: Report) -> None:
        if len(divided) > 1:
            sums = f"{report.requests} requests, {report.answered} answered, {report.sends} sends, {len(report.failed)} failed"
            played = f"seeds {chunk.seeds[0]} to {chunk.seeds[-1]}: {report.schedules} schedules"
            sys.stderr.write(f"{played}, {sums}; {total.schedules} of {len(seeds)}, {len(total.failed)} failed\n")

    lost = list[Lost]()
    if said.storm:
        report = play_storm(said.seed, tell=show, is_kept=said.trace)
    elif said.jobs == 1:
        report = play_here(divided, said=said_of_chunk, is_kept=said.trace)
    else:
        report, lost = play_among(divided, said.jobs, said=said_of_chunk)
    for each in lost:
        sys.stderr.write(f"seeds {each.chunk.seeds[0]} to {each.chunk.seeds[-1]}: their process ended with status {each.status}\n")
    figures = report.as_json()
    if said.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in figures.items()))
    return 1 if report.failed or lost else 0


if __name__ == "__main__":
    sys.exit(main())
