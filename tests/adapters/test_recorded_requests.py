"""Requests in every documented shape, as recordings may hold them: the call that is read out of one builds the same again.

What no call can say is counted by its name, or the whole request counted apart with the reason.
"""

import base64

import pytest

from benchmarks.cassettes import Exchange, adapter_name, make_adapter, request_loss, wire_of
from benchmarks.recorded import UnsayableError
from hybridrt.wire import ReplyHead

OPENAI = "https://api.openai.com/v1/chat/completions"
AZURE = "https://r.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
MISTRAL = "https://api.mistral.ai/v1/chat/completions"
OPENROUTER = "https://openrouter.ai/api/v1/chat/completions"
DEEPSEEK = "https://api.deepseek.com/chat/completions"
GROQ = "https://api.groq.com/openai/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
CLAUDE = "https://api.anthropic.com/v1/messages"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash:generateContent"
VERTEX = (
    "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
)
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse"
ARN = "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn:aws:bedrock:us-east-1:123:inference-profile/us.nova-v1:0/converse-stream"

HI = {"role": "user", "content": "hi"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\xfb\xff?x").decode()
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}


def chat(*messages, **options):
    return {"model": "m", "messages": list(messages or (HI,)), **options}


def tool(**more):
    return {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": SCHEMA, **more}}


def called(id_="c1", arguments='{"x": 1}', **more):
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": id_, **CALLED, "function": {"name": "add", "arguments": arguments}}],
        **more,
    }


CALLED = {"type": "function"}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "2"}
FORM = {"type": "json_schema", "json_schema": {"name": "Form", "schema": SCHEMA, "strict": True}}

# Each request, and what of it no call can say.
CHAT = {
    "plain": (OPENAI, chat(), []),
    "system and developer": (OPENAI, chat({"role": "developer", "content": "a"}, {"role": "system", "content": "b"}, HI), []),
    "a system turn in between": (OPENAI, chat(HI, {"role": "assistant", "content": "a"}, {"role": "system", "content": "b"}, HI), []),
    "names": (OPENAI, chat({**HI, "name": "ana"}), []),
    "parts": (OPENAI, chat({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}), []),
    "a picture": (
        OPENAI,
        chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]}),
        [],
    ),
    "a picture without padding, looked at closely": (
        OPENAI,
        chat(
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG.rstrip('=')}", "detail": "high"}}],
            }
        ),
        ["image_url.detail: high"],
    ),
    "an answer in parts": (OPENAI, chat(HI, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}, HI), []),
    "nulls": (
        OPENAI,
        chat(HI, {"role": "assistant", "content": "a", "refusal": None, "tool_calls": None, "audio": None}, HI, stop=None),
        [],
    ),
    "calls and results": (OPENAI, chat(HI, called(), RESULT, tools=[tool()]), []),
    "a call without arguments": (OPENAI, chat(HI, called(arguments=""), RESULT, tools=[tool()]), []),
    "calls without ids": (GROQ, chat(HI, called(id_=None), {"role": "tool", "content": "2"}, tools=[tool()]), []),
    "arguments as an object": (MISTRAL, chat(HI, called(arguments={"x": 1}), {**RESULT, "name": "add"}, tools=[tool()]), []),
    "a result in parts": (OPENAI, chat(HI, called(), {**RESULT, "content": [{"type": "text", "text": "2"}]}, tools=[tool()]), []),
    "thoughts of earlier turns": (
        GROQ,
        chat(HI, {"role": "assistant", "content": "a", "reasoning": "hm", "reasoning_details": [{}]}, HI),
        [],
    ),
    "an answer begun": (MISTRAL, chat(HI, {"role": "assistant", "content": "a", "prefix": True}), ["messages.prefix"]),
    "an answer not begun": (MISTRAL, chat(HI, {"role": "assistant", "content": "a", "prefix": False}, HI), []),
    "a strict tool, and one of nothing": (OPENAI, chat(tools=[tool(strict=True), {"type": "function", "function": {"name": "now"}}]), []),
    "choice: auto": (OPENAI, chat(tools=[tool()], tool_choice="auto"), []),
    "choice: none": (OPENAI, chat(tools=[tool()], tool_choice="none"), []),
    "choice: required": (OPENAI, chat(tools=[tool()], tool_choice="required"), []),
    "choice: required at Mistral": (MISTRAL, chat(tools=[tool()], tool_choice="any"), []),
    "choice: a name": (OPENAI, chat(tools=[tool()], tool_choice={"type": "function", "function": {"name": "add"}}), []),
    "choice: some": (
        OPENAI,
        chat(tools=[tool()], tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}),
        ["tool_choice: allowed_tools"],
    ),
    "choice: a word of tomorrow": (OPENAI, chat(tools=[tool()], tool_choice="maybe"), ["tool_choice"]),
    "one tool at a time": (OPENAI, chat(tools=[tool()], parallel_tool_calls=False), []),
    "several at a time": (OPENAI, chat(tools=[tool()], parallel_tool_calls=True), []),
    "a form": (OPENAI, chat(response_format=FORM), []),
    "text": (OPENAI, chat(response_format={"type": "text"}), []),
    "any JSON": (OPENAI, chat(response_format={"type": "json_object"}), ["response_format: json_object"]),
    "numbers": (OPENAI, chat(temperature=0, top_p=0.9, seed=7, max_tokens=9, stop="END"), []),
    "the newer limit, stops in a list": (OPENAI, chat(max_completion_tokens=9, stop=["a", "b"]), []),
    "the seed at Mistral": (MISTRAL, chat(random_seed=7), []),
    "effort": (OPENAI, chat(reasoning_effort="low"), []),
    "effort at OpenRouter": (OPENROUTER, chat(reasoning={"effort": "high", "exclude": True}), ["reasoning.exclude"]),
    "thinking counted in tokens at OpenRouter": (OPENROUTER, chat(reasoning={"max_tokens": 100}), ["reasoning.max_tokens"]),
    "an effort of tomorrow": (OPENAI, chat(reasoning_effort="heroic"), ["reasoning_effort: heroic"]),
    "streamed": (OPENAI, chat(stream=True, stream_options={"include_usage": True}), ["stream_options"]),
    "what a client chose": (
        OPENAI,
        chat(store=True, metadata={"a": "b"}, user="u", service_tier="flex", presence_penalty=1, frequency_penalty=1, logit_bias={}, n=1),
        ["store", "metadata", "user", "service_tier", "presence_penalty", "frequency_penalty", "logit_bias", "n"],
    ),
    "a deployment": (AZURE, {"messages": [HI], "model": "gpt-5"}, []),
    "a deployment, and no model in the body": (AZURE, {"messages": [HI]}, []),
    "a deployment at another host": (AZURE.replace("r.openai.azure.com", "r.cognitiveservices.azure.com"), {"messages": [HI]}, []),
    "DeepSeek": (DEEPSEEK, chat(tools=[tool()], tool_choice="required", stop=["x"]), []),
}
ITEM = {"type": "function_call", "call_id": "c1", "id": "fc_1", "name": "add", "arguments": '{"x":1}', "status": "completed"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "2"}
FUNCTION = {"type": "function", "name": "add", "description": "Adds.", "parameters": SCHEMA, "strict": True}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "a", "annotations": []}],
}


def asks(*items, **options):
    return {"model": "m", "input": list(items) or "hi", **options}


RESPONSE = {
    "one text": (RESPONSES, asks(), []),
    "instructions": (RESPONSES, asks(instructions="Be brief."), []),
    "an earlier answer, calls and results": (RESPONSES, asks(HI, SAID, ITEM, OUTPUT, HI, tools=[FUNCTION]), []),
    "a call before words": (RESPONSES, asks(HI, ITEM, OUTPUT, SAID, HI), []),
    "thoughts": (RESPONSES, asks(HI, {"type": "reasoning", "summary": [], "encrypted_content": "x"}, SAID, HI), []),
    "a result in parts": (RESPONSES, asks(HI, ITEM, {**OUTPUT, "output": [{"type": "input_text", "text": "2"}]}), []),
    "a result of nothing": (RESPONSES, asks(HI, ITEM, {**OUTPUT, "output": ""}), []),
    "a turn of nothing": (RESPONSES, asks(HI, {"role": "assistant", "content": None}, HI), []),
    "a picture": (
        RESPONSES,
        asks({"role": "user", "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"}]}),
        ["input_image.detail: low"],
    ),
    "a phase": (RESPONSES, asks(HI, {**SAID, "phase": "commentary"}, HI), ["input.phase"]),
    "choice: required": (RESPONSES, asks(tools=[FUNCTION], tool_choice="required", parallel_tool_calls=False), []),
    "choice: a name": (RESPONSES, asks(tools=[FUNCTION], tool_choice={"type": "function", "name": "add"}), []),
    "choice: some": (
        RESPONSES,
        asks(tools=[FUNCTION], tool_choice={"type": "allowed_tools", "mode": "auto"}),
        ["tool_choice: allowed_tools"],
    ),
    "a form": (RESPONSES, asks(text={"format": {"type": "json_schema", "name": "F", "schema": SCHEMA, "strict": True}}), []),
    "any JSON, briefly": (
        RESPONSES,
        asks(text={"format": {"type": "json_object"}, "verbosity": "low"}),
        ["text.verbosity", "text.format: json_object"],
    ),
    "numbers and effort": (RESPONSES, asks(temperature=1, top_p=0.5, max_output_tokens=20, reasoning={"effort": "minimal"}), []),
    "what a client chose": (
        RESPONSES,
        asks(store=False, include=[], reasoning={"effort": None, "summary": "auto"}, truncation="auto", user="u", metadata={}),
        ["store", "include", "truncation", "user", "metadata", "reasoning.summary"],
    ),
}
USE = {"type": "tool_use", "id": "c1", "name": "add", "input": {"x": 1}}
BACK = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "2"}], "is_error": False}
CUSTOM = {"name": "add", "description": "Adds.", "input_schema": SCHEMA}


def tells(*messages, **options):
    return {"model": "claude", "max_tokens": 99, "messages": list(messages or (HI,)), **options}


MESSAGES = {
    "plain": (CLAUDE, tells(system="Be brief."), []),
    "blocks, marked for caching": (
        CLAUDE,
        tells(
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
            system=[{"type": "text", "text": "b"}],
        ),
        [],
    ),
    "calls and results": (
        CLAUDE,
        tells(HI, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [BACK]}, tools=[CUSTOM]),
        [],
    ),
    "words before a result": (
        CLAUDE,
        tells(HI, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [{"type": "text", "text": "Here."}, BACK]}),
        [],
    ),
    "words after a call": (
        CLAUDE,
        tells(HI, {"role": "assistant", "content": [USE, {"type": "text", "text": "Wait."}]}, {"role": "user", "content": [BACK]}),
        [],
    ),
    "results of words alone and of nothing": (
        CLAUDE,
        tells(
            HI,
            {"role": "assistant", "content": [USE, {**USE, "id": "c2"}]},
            {"role": "user", "content": [{**BACK, "content": "2"}, {"type": "tool_result", "tool_use_id": "c2"}]},
        ),
        [],
    ),
    "thoughts": (
        CLAUDE,
        tells(
            HI,
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "x"}, {"type": "text", "text": "a"}]},
            HI,
        ),
        [],
    ),
    "a picture": (
        CLAUDE,
        tells({"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]}),
        [],
    ),
    "choice: any, one at a time": (CLAUDE, tells(tools=[CUSTOM], tool_choice={"type": "any", "disable_parallel_tool_use": True}), []),
    "choice: a name": (CLAUDE, tells(tools=[CUSTOM], tool_choice={"type": "tool", "name": "add"}), []),
    "choice: none": (CLAUDE, tells(tools=[CUSTOM], tool_choice={"type": "none"}), []),
    "a form": (CLAUDE, tells(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}), []),
    "numbers": (CLAUDE, tells(temperature=0.5, top_p=0.9, stop_sequences=["END"], stream=True), []),
    "effort": (CLAUDE, tells(output_config={"effort": "low"}), []),
    "no thinking": (CLAUDE, tells(thinking={"type": "disabled"}), []),
    "thinking counted in tokens": (
        CLAUDE,
        tells(thinking={"type": "enabled", "budget_tokens": 2000}),
        ["thinking.type", "thinking.budget_tokens"],
    ),
    "what a client chose": (
        CLAUDE,
        tells(top_k=5, metadata={"user_id": "u"}, service_tier="auto", tools=[{**CUSTOM, "defer_loading": True, "strict": True}]),
        ["top_k", "metadata", "service_tier", "tools.defer_loading"],
    ),
}
ASKED = {"role": "user", "parts": [{"text": "hi"}]}
MADE = {"functionCall": {"name": "add", "args": {"x": 1}}}
GIVEN = {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"result": "2"}}}]}
DECLARED = [{"functionDeclarations": [{"name": "add", "description": "Adds.", "parameters": SCHEMA}]}]


def generates(*contents, **options):
    return {"contents": list(contents or (ASKED,)), **options}


CONTENTS = {
    "plain": (GEMINI, generates(), []),
    "the other spelling": (
        GEMINI,
        generates(
            system_instruction={"parts": [{"text": "Be brief."}]},
            generation_config={"max_output_tokens": 9, "stop_sequences": ["x"], "top_k": 3},
        ),
        ["generationConfig.topK"],
    ),
    "one thing for a list of it": (VERTEX, {"contents": ASKED, "systemInstruction": {"parts": {"text": "Be brief."}}}, []),
    "calls and results": (GEMINI, generates(ASKED, {"role": "model", "parts": [MADE]}, GIVEN, tools=DECLARED), []),
    "words after a call": (GEMINI, generates(ASKED, {"role": "model", "parts": [MADE, {"text": "Wait."}]}, GIVEN), []),
    "words beside a result": (
        GEMINI,
        generates(ASKED, {"role": "model", "parts": [MADE]}, {"role": "user", "parts": [*GIVEN["parts"], {"text": "So?"}]}),
        [],
    ),
    "thoughts": (
        GEMINI,
        generates(ASKED, {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "a", "thoughtSignature": "x"}]}, ASKED),
        [],
    ),
    "a picture": (
        GEMINI,
        generates(
            {"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": PNG.replace("+", "-").replace("/", "_")}}]}
        ),
        [],
    ),
    "numbers": (VERTEX, generates(generationConfig={"temperature": 0.1, "topP": 0.5, "seed": 7, "maxOutputTokens": 5}), []),
    "a form": (GEMINI, generates(generationConfig={"responseMimeType": "application/json", "responseSchema": SCHEMA}), []),
    "any JSON": (
        GEMINI,
        generates(generationConfig={"responseMimeType": "application/json"}),
        ["generationConfig.responseMimeType: application/json"],
    ),
    "effort": (GEMINI, generates(generationConfig={"thinkingConfig": {"thinkingLevel": "LOW"}}), []),
    "no thinking": (GEMINI, generates(generationConfig={"thinkingConfig": {"thinkingBudget": 0}}), []),
    "thinking counted in tokens": (
        GEMINI,
        generates(generationConfig={"thinkingConfig": {"thinkingBudget": 99, "includeThoughts": True}}),
        ["thinkingConfig.thinkingBudget", "thinkingConfig.includeThoughts"],
    ),
    "choice: any": (GEMINI, generates(tools=DECLARED, toolConfig={"functionCallingConfig": {"mode": "ANY"}}), []),
    "choice: a name": (
        GEMINI,
        generates(tools=DECLARED, toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}}),
        [],
    ),
    "choice: two names": (
        GEMINI,
        generates(tools=DECLARED, toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add", "sub"]}}),
        ["functionCallingConfig.allowedFunctionNames"],
    ),
    "choice: validated": (
        GEMINI,
        generates(tools=DECLARED, tool_config={"function_calling_config": {"mode": "VALIDATED"}}),
        ["functionCallingConfig.mode: VALIDATED"],
    ),
    "what a client chose": (
        GEMINI,
        generates(safetySettings=[{}], generationConfig={"candidateCount": 1, "responseModalities": ["TEXT"]}),
        ["safetySettings", "generationConfig.candidateCount", "generationConfig.responseModalities"],
    ),
}
WORDS = {"role": "user", "content": [{"text": "hi"}]}
TOOL_USE = {"toolUse": {"toolUseId": "c1", "name": "add", "input": {"x": 1}}}
TOOL_RESULT = {"toolResult": {"toolUseId": "c1", "content": [{"json": {"sum": 2}}], "status": "success"}}
SPEC = {"toolSpec": {"name": "add", "description": "Adds.", "inputSchema": {"json": SCHEMA}}}


def converses(*messages, **options):
    return {"messages": list(messages or (WORDS,)), **options}


CONVERSE = {
    "plain": (BEDROCK, converses(system=[{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]), []),
    "a model by ARN, streamed": (ARN, converses(), []),
    "calls and results": (
        BEDROCK,
        converses(WORDS, {"role": "assistant", "content": [TOOL_USE]}, {"role": "user", "content": [TOOL_RESULT]}),
        [],
    ),
    "words after a call": (
        BEDROCK,
        converses(
            WORDS,
            {"role": "assistant", "content": [TOOL_USE, {"text": "Wait."}]},
            {"role": "user", "content": [{"text": "So:"}, TOOL_RESULT]},
        ),
        [],
    ),
    "thoughts": (
        BEDROCK,
        converses(WORDS, {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "a"}]}, WORDS),
        [],
    ),
    "a picture": (BEDROCK, converses({"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": PNG}}}]}), []),
    "choice: any": (BEDROCK, converses(toolConfig={"tools": [SPEC], "toolChoice": {"any": {}}}), []),
    "choice: a name": (BEDROCK, converses(toolConfig={"tools": [SPEC], "toolChoice": {"tool": {"name": "add"}}}), []),
    "numbers": (BEDROCK, converses(inferenceConfig={"maxTokens": 9, "temperature": 0, "topP": 0.5, "stopSequences": ["x"]}), []),
    "what a client chose": (
        BEDROCK,
        converses(additionalModelRequestFields={"top_k": 5}, guardrailConfig={}, inferenceConfig={"maxTokens": 9, "other": 1}),
        ["additionalModelRequestFields", "guardrailConfig", "inferenceConfig.other"],
    ),
}
SAYABLE = [
    pytest.param(*row, id=f"{wire}: {name}")
    for wire, rows in (("chat", CHAT), ("responses", RESPONSE), ("messages", MESSAGES), ("contents", CONTENTS), ("converse", CONVERSE))
    for name, row in rows.items()
]


def recorded(url, asked):
    return Exchange("acme", "one 0", "POST", url, asked, ReplyHead(200, {}), b"")


@pytest.mark.parametrize(("url", "asked", "left_out"), SAYABLE)
def test_a_request_in_any_documented_shape_is_built_again_and_what_is_left_out_has_a_name(url, asked, left_out):
    one = recorded(url, asked)
    wire = wire_of(one)
    adapter = make_adapter(adapter_name(wire, url))
    assert request_loss(adapter, wire, one, wire.call(url, asked)) is None
    assert list(wire.options_left_out(asked)) == left_out


def part(kind, **fields):
    return chat({"role": "user", "content": [{"type": kind, **fields}]})


UNSAYABLE = {
    "a picture by URL": (OPENAI, part("image_url", image_url="https://example.com/cat.png"), "a picture by URL"),
    "a picture in no base64": (OPENAI, part("image_url", image_url="data:image/svg+xml,<svg/>"), "a picture that is not in base64"),
    "a document": (OPENAI, part("image_url", image_url="data:application/pdf;base64,eA=="), "a file of type application"),
    "sound": (OPENAI, part("input_audio", input_audio={}), "a part of type input_audio"),
    "an answer in sound": (OPENAI, chat(modalities=["text", "audio"]), "an answer in pictures or sound"),
    "functions": (OPENAI, chat(functions=[{}]), "functions in their older form"),
    "the call of a function": (OPENAI, chat(HI, {"role": "assistant", "function_call": {"name": "f"}}), "functions in their older form"),
    "the result of a function": (OPENAI, chat(HI, {"role": "function", "name": "f", "content": "x"}), "functions in their older form"),
    "an earlier refusal": (OPENAI, chat(HI, {"role": "assistant", "refusal": "No."}, HI), "an earlier turn that was a refusal"),
    "earlier sound": (OPENAI, chat(HI, {"role": "assistant", "audio": {"id": "a"}}, HI), "an earlier turn that was sound"),
    "a custom tool": (OPENAI, chat(tools=[{"type": "custom", "custom": {}}]), "a tool that is no function"),
    "the call of a custom tool": (
        OPENAI,
        chat(HI, {"role": "assistant", "tool_calls": [{"type": "custom", "id": "c", "custom": {}}]}),
        "a call of a tool that is no function",
    ),
    "arguments that are none": (OPENAI, chat(HI, called(arguments="{")), "a call with arguments that are no JSON object"),
    "no model": (OPENROUTER, {"messages": [HI], "models": ["a", "b"]}, "a request that names no model"),
    "a search": (OPENAI, chat(web_search_options={"user_location": None}), "a search at the service"),
    "a kept answer": (RESPONSES, asks(previous_response_id="resp_1"), "a conversation kept at the service"),
    "a kept prompt": (RESPONSES, {"prompt": {"id": "p"}}, "a prompt kept at the service"),
    "an item by its id": (RESPONSES, asks(HI, {"type": "item_reference", "id": "x"}), "an item of type item_reference"),
    "a document by bytes": (
        CLAUDE,
        tells({"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "x"}}]}),
        "a part of type document",
    ),
    "a tool of the service": (CLAUDE, tells(tools=[{"type": "web_search_20250305", "name": "web_search"}]), "a tool that is no function"),
    "a search by Google": (GEMINI, generates(tools=[{"googleSearch": {}}]), "a tool that is no function"),
    "a kept cache": (GEMINI, generates(cached_content="caches/1"), "a cache at the service"),
    "an answer in pictures": (GEMINI, generates(generationConfig={"responseModalities": ["IMAGE"]}), "an answer in pictures or sound"),
    "a file": (GEMINI, generates({"role": "user", "parts": [{"fileData": {"fileUri": "gs://x"}}]}), "a file by URI"),
    "a picture in a bucket": (
        BEDROCK,
        converses({"role": "user", "content": [{"image": {"format": "png", "source": {"s3Location": {}}}}]}),
        "a file by URI",
    ),
    "a guarded text": (
        BEDROCK,
        converses({"role": "user", "content": [{"guardContent": {"text": {"text": "x"}}}]}),
        "a part of type guardContent",
    ),
}


@pytest.mark.parametrize(("url", "asked", "reason"), UNSAYABLE.values(), ids=UNSAYABLE)
def test_what_no_call_can_ask_for_has_a_reason(url, asked, reason):
    with pytest.raises(UnsayableError, match=f"^{reason}$"):
        wire_of(recorded(url, asked)).call(url, asked)


@pytest.mark.parametrize(("url", "asked", "left_out"), SAYABLE)
def test_can_fail_a_request_to_which_one_word_was_added_is_noticed(url, asked, left_out):
    one = recorded(url, asked)
    wire = wire_of(one)
    turns = next(name for name in ("messages", "input", "contents") if name in asked)
    more = {"messages": HI, "input": HI, "contents": ASKED}[turns] if "bedrock" not in url else WORDS
    said = [HI, more] if isinstance(asked[turns], str) else [*(asked[turns] if isinstance(asked[turns], list) else [asked[turns]]), more]
    other = {**asked, turns: said}
    assert "differs in" in request_loss(make_adapter(adapter_name(wire, url)), wire, one, wire.call(url, other))
