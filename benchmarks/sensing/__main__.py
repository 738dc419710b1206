"""What the device can tell, measured on the development data: how right, how fast, and beside whom.

    python -m benchmarks.sensing [DATA_DIR]

Where a figure depends on it there is one column per configuration: `t0-pure` (the patterns on the engine of the standard
library), `t0-fast` (the same on RE2), `t1` (with the tagger). Each part also runs alone: `python -m benchmarks.sensing.complexity`,
`.privacy`, `.leave`, `.names`, `.speed`, `.decision`. Prints one JSON object, last; the whole takes some ten minutes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.sensing import complexity, decision, leave, names, privacy, speed


def figures(data: Path) -> dict[str, Any]:
    """Measure everything; the keys that the bars are set for stand first."""
    ranked = complexity.figures(data / "routing")
    told("complexity")
    patterns = privacy.figures(data)
    told("patterns and secrets")
    held = leave.figures(data)
    told("what must not leave")
    named = names.figures(data)
    told("names")
    fast = speed.figures(data)
    told("speed")
    decided = decision.figures()
    structured = {
        configuration: {
            label: [found["recall"], found["precision"]]
            for label, found in column.get("presidio_research", column["chat"]).items()
            if label in privacy.STRUCTURED
        }
        for configuration, column in patterns.items()
    }
    return {
        **{
            key: ranked[key] for key in ("mmlu_pair_apgr", "pooled_apgr", "length_apgr", "oracle_apgr", "tier_accuracy", "hard_called_easy")
        },
        "unknown_share": ranked["unknown_share"],
        "structured_recall_precision": structured,
        "person_recall_precision": [named.get("person_recall_dev"), named.get("person_precision_dev")],
        "secrets_recall": {name: column["chat_secrets_recall"] for name, column in patterns.items()},
        "must_not_leave": {name: column["leave"] for name, column in held.items()},
        "clean": {name: column["clean"] for name, column in held.items()},
        "topic_without_person": {name: column["topic_without_person"] for name, column in held.items()},
        "scan_ms": fast["scan_ms"],
        "presidio_over_scan": fast["presidio_over_scan"],
        "stall_ms": fast["stall_ms"],
        **decided,
        "details": {"complexity": ranked, "privacy": patterns, "leave": held, "names": named},
    }


def told(part: str) -> None:
    """Say that a part is done, for whoever waits."""
    print(f"{part}: measured", file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(json.dumps(figures(Path(sys.argv[1] if len(sys.argv) > 1 else "data"))))
