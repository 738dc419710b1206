"""What we put between a caller and ONNX Runtime.

    python -m benchmarks.local_onnx

Prints one JSON object. `onnx_inline_over_bare`: a tiny net (64-128-3) by `net.run(array)` over the bare `session.run`, CPU time
of the thread. `onnx_infer_over_bare`: a net over some hundred bytes of text by `router.infer` (sensing, decision, record,
tokens, a thread, labels) over the bare `session.run` on the ready array, for the shortest of three texts. A net of some
megabytes leaves the caches cold for what comes after it, so ours costs several times what it does alone.
`picture_infer_over_plain`: a JPEG of 640 x 480 by `router.infer` over what one writes by hand with Pillow and numpy, decoding
included; `pixels_infer_over_plain` the same with the array of its pixels, which nobody encodes or decodes. All are CPU time of
the process; `*_ms` is the clock. The nets have random weights and the same session settings on both sides; the two sides take
turns in one process.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hybridrt import Router
from hybridrt.application import Application, LocalModel
from hybridrt.local.net import Net
from hybridrt.testing import MemoryLedger
from training.onnx_file import Node, model, write_net

ROUNDS, TINY_RUNS, INFER_RUNS = 15, 400, 150
SIDE = 224
# How long the text is, which makes the net one of some 3, 6 and 12 ms.
REPEATS = (4, 8, 16)


def tiny_net(folder: Path, r: np.random.Generator) -> Path:
    """Write a classifier of 64 numbers."""
    weights = {"w1": r.normal(size=(64, 128)), "b1": r.normal(size=128), "w2": r.normal(size=(128, 3)), "b2": r.normal(size=3)}
    data = model(
        [
            Node("Gemm", ["x", "w1", "b1"], ["a"]),
            Node("Relu", ["a"], ["h"]),
            Node("Gemm", ["h", "w2", "b2"], ["y"]),
        ],
        {"x": ("float32", ["batch", 64])},
        {"y": ("float32", ["batch", 3])},
        {name: value.astype(np.float32) for name, value in weights.items()},
    )
    zeros, out = np.zeros(64), np.maximum(weights["b1"], 0) @ weights["w2"] + weights["b2"]
    return write_net(
        folder,
        "tiny",
        data,
        kind="text_classifier",
        input={"name": "x", "shape": ["batch", 64]},
        output="y",
        text={"tokenizer": "bytes", "most_tokens": 64},
        labels=["a", "b", "c"],
        golden={"tolerance": 0.01, "cases": [{"input": zeros.tolist(), "output": out.tolist()}]},
    )


def picture_net(folder: Path, r: np.random.Generator) -> Path:
    """Write a classifier of colour pictures with four convolutions."""
    widths, nodes, weights, at = (3, 32, 96, 128, 192), [], {}, "x"
    for k, (less, more) in enumerate(itertools.pairwise(widths)):
        weights[f"w{k}"] = (r.normal(size=(more, less, 3, 3)) / np.sqrt(9 * less)).astype(np.float32)
        nodes += [
            Node("Conv", [at, f"w{k}"], [f"c{k}"], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
            Node("Relu", [f"c{k}"], [f"r{k}"]),
        ]
        at = f"r{k}"
    weights["head"] = r.normal(size=(widths[-1], 10)).astype(np.float32)
    nodes += [Node("GlobalAveragePool", [at], ["p"]), Node("Flatten", ["p"], ["f"]), Node("MatMul", ["f", "head"], ["y"])]
    data = model(nodes, {"x": ("float32", ["batch", 3, SIDE, SIDE])}, {"y": ("float32", ["batch", 10])}, weights)
    black = BytesIO()
    Image.new("RGB", (4, 4)).save(black, "PNG")
    return write_net(
        folder,
        "conv",
        data,
        kind="image_classifier",
        input={"name": "x", "shape": ["batch", 3, SIDE, SIDE]},
        output="y",
        picture={"resize": [SIDE, SIDE]},
        labels=[f"class {k}" for k in range(10)],
        golden={"tolerance": 0.001, "cases": [{"picture": base64.b64encode(black.getvalue()).decode(), "output": [0.0] * 10}]},
    )


def bare_session(net: Net) -> Any:
    """Return the session of the runtime itself, behind the net: the same weights, settings and memory on both sides."""
    return net._session._run.__self__  # noqa: SLF001 - this is what is measured against


def cpu_us(run: Callable[[], object], times: int) -> float:
    """Microseconds of this thread for one call."""
    began = time.thread_time_ns()
    for _ in range(times):
        run()
    return (time.thread_time_ns() - began) / times / 1000


def inline_over_bare(folder: Path, r: np.random.Generator) -> dict[str, float]:
    net = Net.open(tiny_net(folder, r))
    session = bare_session(net)
    array, bare, ours = r.normal(size=(1, 64)).astype(np.float32), [], []
    for _ in range(ROUNDS):
        bare.append(cpu_us(lambda: session.run(("y",), {"x": array}), TINY_RUNS))
        ours.append(cpu_us(lambda: net.run(array), TINY_RUNS))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return {"onnx_inline_over_bare": statistics.median(ratios), "tiny_bare_us": min(bare), "tiny_inline_us": min(ours)}


def text_net(folder: Path, r: np.random.Generator) -> Path:
    """Write a classifier of bytes: 128 numbers each, two wide layers over all of them, the mean, ten labels."""
    weights = {
        "table": r.normal(size=(256, 128)),
        "w1": r.normal(size=(128, 1024)) / 11,
        "w2": r.normal(size=(1024, 512)) / 32,
        "w3": r.normal(size=(512, 10)),
    }
    floats = {name: value.astype(np.float32) for name, value in weights.items()}
    data = model(
        [
            Node("Gather", ["table", "ids"], ["e"]),
            Node("MatMul", ["e", "w1"], ["a"]),
            Node("Relu", ["a"], ["ra"]),
            Node("MatMul", ["ra", "w2"], ["b"]),
            Node("Relu", ["b"], ["rb"]),
            Node("ReduceMean", ["rb"], ["m"], {"axes": [1], "keepdims": 0}),
            Node("MatMul", ["m", "w3"], ["y"]),
        ],
        {"ids": ("int64", ["batch", "bytes"])},
        {"y": ("float32", ["batch", 10])},
        floats,
    )
    hidden = np.maximum(np.maximum(floats["table"][[ord("a")]] @ floats["w1"], 0) @ floats["w2"], 0).mean(0) @ floats["w3"]
    return write_net(
        folder,
        "words",
        data,
        kind="text_classifier",
        input={"name": "ids", "shape": ["batch", "bytes"], "dtype": "int64"},
        output="y",
        text={"tokenizer": "bytes", "most_tokens": 4096},
        labels=[f"class {k}" for k in range(10)],
        golden={"tolerance": 0.01, "cases": [{"text": "a", "output": [float(value) for value in hidden]}]},
    )


async def infer_over(path: Path, plain: Callable[[Any], object], runs: int, **asked: Any) -> dict[str, float]:
    """Return the lower quartiles of `plain` and of `router.infer`, on the clock and in CPU time of the process."""
    session = bare_session(Net.open(path))
    times: dict[str, list[float]] = {"bare_cpu": [], "bare": [], "ours_cpu": [], "ours": []}

    def note(who: str, clock: int, cpu: int) -> None:
        times[who].append((time.perf_counter_ns() - clock) / 1e6)
        times[f"{who}_cpu"].append((time.process_time_ns() - cpu) / 1e6)

    application = Application(models=(LocalModel("net", path, backend="onnx"),))
    async with Router.open(application, ledger=MemoryLedger()) as router:
        await router.infer(task="classify", **asked)
        gc.collect()
        for _ in range(runs):
            began = time.perf_counter_ns(), time.process_time_ns()
            plain(session)
            note("bare", *began)
            began = time.perf_counter_ns(), time.process_time_ns()
            await router.infer(task="classify", **asked)
            note("ours", *began)
    # The lower quartile: what shares the machine only ever adds.
    return {who: statistics.quantiles(values, n=4)[0] for who, values in times.items()}


def text_over_bare(folder: Path, r: np.random.Generator) -> dict[str, Any]:
    path, by_length = text_net(folder, r), {}
    for repeats in REPEATS:
        text = "Please tell me which of our ten departments should read this letter about a parcel that came too late. " * repeats
        ids = np.frombuffer(text.encode(), np.uint8).astype(np.int64)[None]
        quartiles = asyncio.run(infer_over(path, lambda session, ids=ids: session.run(("y",), {"ids": ids}), INFER_RUNS, prompt=text))
        by_length[f"{quartiles['bare_cpu']:.1f} ms"] = round(quartiles["ours_cpu"] / quartiles["bare_cpu"], 3)
    return {"onnx_infer_over_bare": next(iter(by_length.values())), "onnx_infer_over_bare_by_net": by_length}


def picture_over_plain(folder: Path, r: np.random.Generator) -> dict[str, float]:
    net, encoded = picture_net(folder, r), BytesIO()
    coarse = Image.fromarray(r.integers(0, 256, (12, 16, 3)).astype(np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    coarse.save(encoded, "JPEG", quality=85)
    jpeg = encoded.getvalue()

    pixels = np.asarray(Image.open(BytesIO(jpeg)))

    def computed(session: Any, picture: Image.Image) -> object:
        scaled = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        array = np.ascontiguousarray((np.asarray(scaled, np.float32) * np.float32(1 / 255)).transpose(2, 0, 1))[None]
        return session.run(("y",), {"x": array})

    def plain(session: Any) -> object:
        return computed(session, Image.open(BytesIO(jpeg)).convert("RGB"))

    quartiles = asyncio.run(infer_over(net, plain, INFER_RUNS, image=jpeg))
    of_pixels = asyncio.run(infer_over(net, lambda session: computed(session, Image.fromarray(pixels)), INFER_RUNS, image=pixels))
    return {
        "picture_infer_over_plain": quartiles["ours_cpu"] / quartiles["bare_cpu"],
        "picture_plain_ms": quartiles["bare"],
        "picture_infer_ms": quartiles["ours"],
        "pixels_infer_over_plain": of_pixels["ours_cpu"] / of_pixels["bare_cpu"],
        "pixels_plain_ms": of_pixels["bare"],
        "pixels_infer_ms": of_pixels["ours"],
    }


def figures() -> dict[str, Any]:
    """Measure everything."""
    r = np.random.default_rng(4)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {**inline_over_bare(folder, r), **text_over_bare(folder, r), **picture_over_plain(folder, r)}
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in found.items()}


def main() -> None:
    print(json.dumps(figures()))


if __name__ == "__main__":
    main()
