"""How a tagger does on generated names of cultures, and in kinds of writing, that it was not trained on.

    python -m training.tagger.measure MODEL.npz

Means something for a model that was trained with `--hold-out` alone. Prints one JSON object.
"""

import json
import sys
from functools import partial
from pathlib import Path

from benchmarks.sensing.names import measured
from hybridrt.sense.names import Names
from hybridrt.sense.tagger import read
from training.tagger.grammar import KINDS_OF_WRITING, NOTHING, Writer, templates
from training.tagger.roster import HELD_OUT, Roster

LABELS = {1: "person", 2: "organization", 3: "location", 4: "address"}
TEXTS = 1500


def labelled(text):
    """Return a generated text and its spans."""
    spans, start = [], None
    for at in range(len(text.chars) + 1):
        ends = at == len(text.chars) or text.begins[at] or text.kinds[at] != text.kinds[at - 1]
        if start is not None and ends:
            spans.append((start, at, LABELS.get(text.kinds[start], "neither")))
            start = None
        if at < len(text.chars) and start is None and text.kinds[at] != NOTHING:
            start = at
    return str(text), spans


def main():
    detector = Names(read(Path(sys.argv[1])))
    sections = tuple({section for section, _ in templates()} - set(KINDS_OF_WRITING))
    sets = {
        "cultures_known": Writer(91, roster=partial(Roster, without=HELD_OUT), without=KINDS_OF_WRITING),
        "cultures_held_out": Writer(92, roster=partial(Roster, only=HELD_OUT), without=KINDS_OF_WRITING),
        "writing_held_out": Writer(93, roster=partial(Roster, without=HELD_OUT), without=sections),
    }
    print(
        json.dumps({name: measured(detector, [labelled(writer.text()) for _ in range(TEXTS)]) for name, writer in sets.items()}, indent=1)
    )


if __name__ == "__main__":
    main()
