"""Reads recorded requests into calls, and brings requests into the form in which they are compared. One reader a wire.

Nothing here is shared with the adapters: what they write is read by somebody else.

A request is compared after this normalisation, the same for every recording of a wire:

- Options that no `Call` has (`n`, thinking budgets, penalties, safety settings, ...) are left out: another client chose
  them. Their names are counted and printed, as are words for an option that no call has (`response_format: json_object`).
  What a `Call` has is compared, all of it: the model, the turns, the tools and
  which of them to call, the form of the answer, the token limit, temperature, `top_p`, effort, the seed, the stop words,
  streaming. A choice of tools that is the default (`auto`) is the same as none.
- The path is compared from its end, since its beginning is the endpoint of a policy; the query (a version, a stream's
  form) is the client's.
- A text and a list of that one text are the same, as are empty texts, empty lists, nulls and nothing.
- The model is what the path names, where that is a deployment. Pictures are compared in one alphabet of base64, without padding.
- Neighbouring turns of one role are one where the wire has no role for tools (Gemini, Anthropic, Bedrock).
- `developer` is `system`; system turns stand where the wire has a field for them.
- Thoughts of earlier turns, their signatures and marks for caching are left out: hybridrt says neither again.
- Arguments and schemas are compared as JSON, not as text; `additionalProperties: false`, `required`, `strict` and the
  name and description of an answer's schema are the guarantee that an adapter asks for where it can be had.
- A tool's result that is not a JSON object is compared as its value, under whatever name the client wrapped it.
- Ids of tool calls are compared by which call they name: some services take ids of their own form alone.
- The name of who speaks in a turn is left out; no message has one.
- `strict` of tools and whether a result was a failure are left out; no call has them.
"""

from benchmarks.recorded.anthropic import ANTHROPIC
from benchmarks.recorded.bedrock import BEDROCK
from benchmarks.recorded.chat import CHAT
from benchmarks.recorded.gemini import GEMINI
from benchmarks.recorded.responses import RESPONSES
from benchmarks.recorded.shared import UnsayableError, Wire

__all__ = ["ANTHROPIC", "BEDROCK", "CHAT", "GEMINI", "RESPONSES", "UnsayableError", "Wire"]
