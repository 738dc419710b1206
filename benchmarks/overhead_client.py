"""The client process of one library: reads operations from standard input, answers each with one JSON line.

Runs in the environment of that library, so it imports nothing else of this project at the top.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

WORDS = "Explain in simple terms how a sailing boat can move against the wind and why the keel matters for that. "
PROMPT = (WORDS * 10)[:1000]
MODEL = "stand-in"
POLICY = """\
hybridrt_policy: 1
name: benchmark
version: 1.0.0
owner: benchmarks
valid: {{from: 2026-01-01}}
recipients:
  - id: on-device
    kind: local
  - id: upstream
    kind: near_edge
    adapter: openai
    endpoint: http://127.0.0.1:{port}/v1
rules:
  - id: ordinary
    effect: permit
    when: {{sensitivity: [public, internal]}}
    to: {{kind: near_edge}}
  - id: secrets-stay
    effect: forbid
    when: {{data: {{any_of: [credential, payment_card, government_id]}}}}
    to: {{kind: near_edge}}
  - id: health-stays
    effect: forbid
    when: {{data: {{any_of: [health]}}}}
    to: {{kind: near_edge}}
  - id: the-person-said-local
    effect: forbid
    when: {{user_choice: [local_only]}}
    to: {{kind: near_edge}}
  - id: record
    effect: oblige
    when: always
    do: {{log: decision, provider_cache: off}}
routing:
  - id: near-first
    order: [near_edge, device]
"""


class Raw:
    """httpx2, with the body that the others send."""

    async def open(self, port: int) -> None:
        import httpx2

        self.client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1", headers={"authorization": "Bearer none"})

    async def call(self) -> None:
        reply = await self.client.post(
            "/chat/completions", json={"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "stream": False}
        )
        assert reply.json()["choices"][0]["message"]["content"]

    async def chunks(self) -> int:
        seen = 0
        body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
        async with self.client.stream("POST", "/chat/completions", json=body) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    choices = json.loads(line[6:])["choices"]
                    seen += bool(choices and choices[0]["delta"].get("content"))
        return seen

    async def close(self) -> None:
        await self.client.aclose()


class Hybridrt:
    """A whole routed call: sensed, decided, permitted, recorded on the disk."""

    async def open(self, port: int) -> None:
        from hybridrt.application import Application, Binding
        from hybridrt.router import Router

        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        (folder / "policy.yaml").write_text(POLICY.format(port=port))
        application = Application(
            policies=(folder / "policy.yaml",), bindings=(Binding("upstream", MODEL),), ledger=folder / "ledger.jsonl"
        )
        self.router = Router.open(application)

    async def call(self) -> None:
        answer = await self.router.infer(PROMPT)
        assert answer.text
        assert answer.target == "upstream"

    async def chunks(self) -> int:
        from hybridrt.event import Text

        seen = 0
        async with aclosing(self.router.stream(PROMPT)) as events:
            async for event in events:
                seen += isinstance(event, Text)
        return seen

    async def close(self) -> None:
        await self.router.close()
        self.folder.cleanup()


class OpenAI:
    """The official SDK."""

    async def open(self, port: int) -> None:
        import openai

        self.client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")

    async def call(self) -> None:
        reply = await self.client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": PROMPT}])
        assert reply.choices[0].message.content

    async def chunks(self) -> int:
        seen = 0
        stream = await self.client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": PROMPT}], stream=True)
        async for chunk in stream:
            seen += bool(chunk.choices and chunk.choices[0].delta.content)
        return seen

    async def close(self) -> None:
        await self.client.close()


class LiteLLM:
    """litellm's Router with one deployment and one fallback."""

    async def open(self, port: int) -> None:
        import litellm

        def deployment(name: str, model: str) -> dict:
            return {
                "model_name": name,
                "litellm_params": {"model": f"openai/{model}", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": "none"},
            }

        self.router = litellm.Router(
            model_list=[deployment("main", MODEL), deployment("spare", MODEL)],
            fallbacks=[{"main": ["spare"]}],
        )

    async def call(self) -> None:
        reply = await self.router.acompletion(model="main", messages=[{"role": "user", "content": PROMPT}])
        assert reply.choices[0].message.content

    async def chunks(self) -> int:
        seen = 0
        stream = await self.router.acompletion(model="main", messages=[{"role": "user", "content": PROMPT}], stream=True)
        async for chunk in stream:
            seen += bool(chunk.choices and chunk.choices[0].delta.content)
        return seen

    async def close(self) -> None:
        return


async def single(client, calls: int) -> list[float]:
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        await client.call()
        times.append((time.perf_counter() - began) * 1e6)
    return times


async def many(client, calls: int, callers: int) -> float:
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            await client.call()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return calls / (time.perf_counter() - began)


async def do(client, order: dict) -> dict:
    if order["do"] == "single":
        return {"p50_us": statistics.median(await single(client, order["calls"]))}
    if order["do"] == "many":
        return {"rps": await many(client, order["calls"], order["callers"])}
    if order["do"] == "burst":
        before = statistics.median(await single(client, order["calls"]))
        await many(client, order["burst"], order["burst"])
        return {"before_us": before, "after_us": statistics.median(await single(client, order["calls"]))}
    began = time.perf_counter()
    seen = await client.chunks()
    if seen < order["chunks"]:
        raise SystemExit(f"{seen} of {order['chunks']} chunks came")
    return {"chunk_us": (time.perf_counter() - began) * 1e6 / seen}


async def main(library: str, port: int, *, once: bool) -> None:
    client = {"raw": Raw, "hybridrt": Hybridrt, "openai": OpenAI, "litellm": LiteLLM}[library]()
    await client.open(port)
    if once:
        await client.call()
        await client.close()
        return
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await do(client, json.loads(line))), flush=True)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), once="--once" in sys.argv))
