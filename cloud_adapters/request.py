"""The half of `build` that every JSON wire shares: the body, and the key in its header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud_adapters.json_text import NotJsonError, write
from hybridrt.backend import Call
from hybridrt.errors import CredentialsError, TargetError
from hybridrt.request import Image
from hybridrt.wire import HttpRequest

Headers = tuple[tuple[str, str], ...]


def json_request(call: Call, path: str, body: Mapping[str, Any], headers: Headers = ()) -> HttpRequest:
    """Put a body and headers into a request below the endpoint.

    Raises:
        TargetError: something in it has no form in JSON.
    """
    return HttpRequest(path=path, body=json_body(call, body), headers=(("content-type", "application/json"), *headers))


def json_body(call: Call, value: Any) -> bytes:
    """Write JSON that goes to this call's target.

    Raises:
        TargetError: something in it has no form in JSON.
    """
    try:
        return write(value)
    except NotJsonError:
        raise TargetError(
            f"the request to `{call.target.id}` cannot be written as JSON", target=call.target.id, hint="check the arguments of tools"
        ) from None


def refuse_unsaid(call: Call, *said: str) -> None:
    """Check that the call asks for nothing but these options: what a wire cannot say is an error, never left out.

    Options are `tools`, `tool_choice`, `parallel_tool_calls`, `output`, `images`, `max_output_tokens`, `temperature`, `top_p`,
    `effort`, `seed` and `stop`. What is the default everywhere (`auto`, several tools at once) is asked of nobody.

    Raises:
        TargetError: it asks for another one.
    """
    asked = {
        "tools": bool(call.tools) or any(message.tool_calls or message.role == "tool" for message in call.messages),
        "tool_choice": call.tool_choice not in (None, "auto"),
        "parallel_tool_calls": call.parallel_tool_calls is False,
        "output": call.output is not None,
        "images": any(isinstance(part, Image) for message in call.messages for part in message.parts),
        "max_output_tokens": call.max_output_tokens is not None,
        "temperature": call.temperature is not None,
        "top_p": call.top_p is not None,
        "effort": call.effort is not None,
        "seed": call.seed is not None,
        "stop": bool(call.stop),
    }
    unsaid = [option for option, is_asked in asked.items() if is_asked and option not in said]
    if unsaid:
        raise TargetError(f"the wire of `{call.target.id}` has no `{unsaid[0]}`", target=call.target.id)


def key_header(call: Call, key: str | None, name: str = "authorization", prefix: str = "Bearer ") -> Headers:
    """Put the key into its header; without a key there is none.

    Raises:
        CredentialsError: the key holds a line end or another character that no header carries.
    """
    if not key:
        return ()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CredentialsError(
            f"the key of `{call.target.id}` holds characters that no header carries",
            target=call.target.id,
            hint="check for line ends in it",
        )
    return ((name, prefix + key),)
