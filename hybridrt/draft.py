"""What was shown of an answer that broke off, and how somebody else is asked to go on with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hybridrt.answer import Answer
from hybridrt.errors import TargetError
from hybridrt.event import Seam
from hybridrt.request import Message, Request, Text
from hybridrt.sealed import Sealed

# The same for every target: some wires let an answer begin with given words, most do not, and what one model makes of them
# differs from what the next one does.
GO_ON = Message(
    "user",
    (
        Text(
            "Your answer above was cut off. Continue it from exactly where it ends, with the very next word. Do not repeat any of it, "
            "and do not mention the interruption."
        ),
    ),
)
# English has four characters a token. What was said counts towards the limit of the caller, and nobody counted it.
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, repr=False)
class Draft(Sealed):
    """What a caller was shown by `target` and those before it: all of `shown`, of which `text` stands.

    What stands goes to the next target as a part of the request. Where nobody goes on, the failure is raised, or the answer
    told that was whole and not good enough.
    """

    target: str
    text: str
    shown: int
    seams: tuple[Seam, ...] = ()
    failure: TargetError | None = None
    answer: Answer | None = None
    # Was nobody asked to go on yet?
    is_new: bool = False

    def seam(self, to_target: str) -> Seam:
        """Say where another target goes on."""
        return Seam(self.target, to_target, at=len(self.text), superseded=len(self.text) < self.shown)


def joined(draft: Draft, answer: Answer) -> Answer:
    """Return the answer that a caller saw: what stands of those before, and what the last one said."""
    return replace(answer, text=draft.text + answer.text, seams=draft.seams)


def with_draft(request: Request, text: str) -> Request:
    """Return a request that holds what was shown so far: all of it is sensed, decided about and sent."""
    if not text.strip():
        return request
    limit = request.max_output_tokens
    return replace(
        request,
        messages=(*request.messages, Message("assistant", (Text(text),))),
        max_output_tokens=None if limit is None else max(1, limit - len(text) // _CHARACTERS_PER_TOKEN),
    )
