"""Does a request fit a target off the device? Said before anything is sent; nothing is ever cut to make it fit.

A model on the device counts exactly by itself. For a model elsewhere the bytes bound the tokens from both sides: what may be
too long is sent and counted by the provider, what must be too long is not sent.
"""

from __future__ import annotations

from hybridrt.errors import ContextOverflowError
from hybridrt.signals import TokenCount
from hybridrt.target import Target

# Text that people write has two to five bytes a token in the tokenizers in use; only long runs of one character pass eight.
MOST_BYTES_PER_TOKEN = 8


def why_too_long(tokens: TokenCount, max_output_tokens: int | None, target: Target) -> ContextOverflowError | None:
    """Return the error to raise where a request cannot fit a target, with both numbers; none where it may."""
    most = target.max_output_tokens
    if max_output_tokens is not None and most is not None and max_output_tokens > most:
        return ContextOverflowError(
            f"{max_output_tokens} tokens are asked for, and `{target.id}` writes at most {most}",
            needed=max_output_tokens,
            window=most,
            target=target.id,
            hint="ask for fewer with `max_output_tokens`",
        )
    if target.window is None or tokens.kind != "upper_bound":
        return None
    least = tokens.value // MOST_BYTES_PER_TOKEN + (max_output_tokens or 0)
    if least <= target.window:
        return None
    return ContextOverflowError(
        f"the request has at least {least} tokens with its answer, and the window of `{target.id}` is {target.window}",
        needed=least,
        window=target.window,
        target=target.id,
    )
