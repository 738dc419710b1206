"""One answer in the making: what is computed of it, what it said so far, how it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hybridrt.errors import ContextOverflowError
from hybridrt.event import Event, Evidence, Finish, Text, Usage
from hybridrt.local.detokenize import GrammarUtf8, StopText, Utf8
from hybridrt.local.form import read_answer
from hybridrt.local.model import Choice, Job, Model, Sampler
from hybridrt.local.tool import CallReader

# One token says nothing of an answer; by the second one a model has begun.
_FIRST_JUDGED = 2
# To sum up a long answer takes as long as it is, so it is done for every token of a short one and for every eighth of a long one.
_OFTEN_JUDGED = 32
_SELDOM = 8


def room_for(prompt_tokens: int, max_output_tokens: int | None, window: int) -> int:
    """Return how many tokens the answer may have.

    Raises:
        ContextOverflowError: with both numbers; an asked length is never cut.
    """
    needed = prompt_tokens + (max_output_tokens or 1)
    if needed > window:
        raise ContextOverflowError(f"{needed} tokens are needed and the window holds {window}", needed=needed, window=window)
    return max_output_tokens or window - prompt_tokens


class Answering:
    """A sequence: first its prompt is computed chunk by chunk, then its answer token by token."""

    __slots__ = (
        "_calls",
        "_choices",
        "_job",
        "_limit",
        "_marks",
        "_model",
        "_said",
        "_spoken",
        "_stop",
        "_utf8",
        "at",
        "count",
        "ends",
        "reused",
        "sampler",
        "scope",
        "token",
        "tokens",
    )

    def __init__(self, job: Job, model: Model, tokens: Sequence[int], ends: list[int]) -> None:
        self._job, self._model = job, model
        self.tokens, self.ends, self.scope = tokens, ends, job.scope
        self._limit = room_for(len(tokens), job.max_output_tokens, model.window)
        self.sampler: Sampler = model.sampler(job)
        self._utf8 = Utf8() if job.grammar is None else GrammarUtf8()
        self._stop = StopText(job.stop)
        self._calls: CallReader | None = None
        self._marks: Mapping[int, str] = {}
        if job.tools and model.calling:
            self._calls = CallReader(model.calling, job.tools, job.messages, has_form=job.output is not None)
            self._marks = model.calling.marks
        self._said: list[str] = []
        self._choices: list[Choice] = []
        self._spoken: list[int] = []
        self.at = 0  # so many tokens are computed
        self.count = 0  # so many tokens were said
        self.reused = 0  # so many were not computed for this answer
        self.token: int | None = None  # said, and to be computed next; none while the prompt is not whole

    @property
    def left(self) -> int:
        """How many tokens of the prompt are to be computed."""
        return len(self.tokens) - self.at

    def computed(self) -> list[int]:
        """Return the tokens whose state is in the slot: of the prompt, and of the answer all but the last."""
        return [*self.tokens, *self._spoken][: self.at]

    def next_end(self) -> int:
        """Return where the next chunk of the prompt ends."""
        return next(end for end in self.ends if end > self.at)

    def take(self, choice: Choice) -> Iterator[Event]:
        """Say the next token; ends with `Finish` where the answer is over."""
        self.token = None
        self._choices.append(choice)
        token = choice.token
        if token is None or self._model.is_end(token):
            yield from self._finish("stop")
            return
        self.count += 1
        self._spoken.append(token)
        if token == self._model.escalate_token:
            yield from self._finish("escalate")
            return
        if self._is_hopeless():
            # What is left of it is of no use to anybody, and what was not said is not said now.
            yield Usage(input_tokens=len(self.tokens), output_tokens=self.count, cached_input_tokens=self.reused)
            yield Finish("given_up", evidence=make_evidence(self._choices))
            return
        text = self._utf8.feed(self._model.piece(token) or self._marks.get(token, "").encode())
        if self._calls is not None:
            text = self._calls.feed(text)
        text = self._stop.feed(text)
        if text:
            self._said.append(text)
            if self._job.is_streamed:
                yield Text(text)
        if self._stop.was_met or self.count == self._limit:
            yield from self._finish("stop" if self._stop.was_met else "length")
            return
        self.token = token

    def _is_hopeless(self) -> bool:
        """Do its scores so far say that it will not be good enough?"""
        said = len(self._choices)
        if self._job.is_hopeless is None or said < _FIRST_JUDGED or (said > _OFTEN_JUDGED and said % _SELDOM):
            return False
        evidence = make_evidence(self._choices)
        return evidence is not None and self._job.is_hopeless(evidence)

    def _finish(self, reason: str) -> Iterator[Event]:
        rest = self._utf8.end()
        if self._calls is not None:
            rest = self._calls.feed(rest) + self._calls.end()
        rest = self._stop.feed(rest)
        if self._stop.was_met:
            reason = "stop"
        rest += self._stop.end()
        if rest:
            self._said.append(rest)
        whole = "".join(self._said)
        if self._job.is_streamed:
            if rest:
                yield Text(rest)
        elif whole:
            yield Text(whole)
        if self._calls is not None and self._calls.has_calls and reason in ("stop", "length"):
            yield from self._calls.read(is_cut=reason == "length")
            reason = "tool_calls" if reason == "stop" else reason
        yield Usage(input_tokens=len(self.tokens), output_tokens=self.count, cached_input_tokens=self.reused)
        output = self._job.output
        yield Finish(
            reason, parsed=read_answer(whole, output) if output and reason == "stop" else None, evidence=make_evidence(self._choices)
        )


def make_evidence(choices: Sequence[Choice]) -> Evidence | None:
    """Sum up how the model saw the tokens of an answer, its end among them; none of an answer without any."""
    chosen = [choice for choice in choices if choice.token is not None]
    if not chosen:
        return None
    logprobs = tuple(choice.logprob for choice in chosen)
    margins = [choice.margin for choice in chosen]
    entropies = [choice.entropy for choice in chosen]
    refused = [choice.refused for choice in choices]
    return Evidence(
        logprobs=logprobs,
        mean_logprob=sum(logprobs) / len(logprobs),
        min_logprob=min(logprobs),
        low_logprob=sorted(logprobs)[len(logprobs) // 10],
        mean_margin=sum(margins) / len(margins),
        min_margin=min(margins),
        first_entropy=entropies[0],
        mean_entropy=sum(entropies) / len(entropies),
        mean_refused=sum(refused) / len(refused),
        max_refused=max(refused),
    )
