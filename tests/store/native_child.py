"""Loads the files it is given with native code, one after the other, and says how each ended. It may die of any of them."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import HybridrtError
from hybridrt.request import Message, Text
from hybridrt.target import Place, Target


async def load_gguf(path: Path) -> None:
    from hybridrt.local.llama import LlamaBackend

    backend = LlamaBackend(path, window=64)
    try:
        call = Call(Target("t", Place.DEVICE, "t"), (Message("user", (Text("hi"),)),), Deadline.start(20.0), max_output_tokens=2)
        async for _ in backend.answer(call):
            pass
    finally:
        await backend.close()


def load_onnx(path: Path) -> None:
    import numpy as np
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        session.run(None, {session.get_inputs()[0].name: np.ones((1, 3), np.float32)})
    except Exception as error:
        raise HybridrtError(type(error).__name__) from None


def main() -> None:
    kind, *files = sys.argv[1:]
    for file in files:
        try:
            asyncio.run(load_gguf(Path(file))) if kind == "gguf" else load_onnx(Path(file))
            end = "loaded"
        except HybridrtError as error:
            end = f"refused: {error.code}"
        sys.stdout.write(json.dumps({"file": file, "end": end}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
