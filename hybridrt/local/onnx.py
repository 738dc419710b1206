"""ONNX Runtime, behind one class. The only file that imports it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridrt.errors import MissingExtraError, MissingModelError, ModelFileError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

CPU = "CPUExecutionProvider"
# What people call them.
PROVIDERS = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}
# What an application may say instead of naming processors, and the policy of the runtime that it means.
POWER = {"saving": "MIN_OVERALL_POWER", "balanced": "DEFAULT", "performance": "MAX_PERFORMANCE"}


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs a net: processors in the order of preference, or a wish about power, and the number of threads."""

    providers: tuple[str, ...] = ()
    power: str | None = None
    # A second thread gains little on nets this small and waits for the first by spinning.
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the nodes of a net really are, most first; and which wished-for processor did not get any."""

    nodes: tuple[tuple[str, int], ...]
    missed: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = ", ".join(f"{count} nodes on {provider}" for provider, count in self.nodes) or "the runtime does not say where it runs"
        return f"{where}; nothing on {', '.join(self.missed)}, which was asked for" if self.missed else where


class Session:
    """One net in memory. `run` may be called from any thread."""

    def __init__(self, session: Any, output: str, placement: Placement) -> None:
        self._run = session.run
        self._outputs = (output,)
        self.inputs: tuple[str, ...] = tuple(one.name for one in session.get_inputs())
        self.placement = placement

    @classmethod
    def open(cls, path: Path, sha256: str, output: str, runtime: Runtime) -> Session:
        """Read a net, check that it is the one that is meant, and make it ready.

        Raises:
            MissingExtraError: ONNX Runtime is not installed.
            MissingModelError: there is no such file.
            ModelFileError: it is another file, or the runtime cannot use it.
        """
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtraError("a net on this device", extra="local") from None
        data = _read(path)
        if (digest := hashlib.sha256(data).hexdigest()) != sha256:
            raise ModelFileError(
                f"{path.name} is not the net its manifest speaks of: its digest begins with {digest[:12]}, not {sha256[:12]}",
                hint="fetch the net again, or correct `sha256` in the manifest",
            )
        wished = tuple(PROVIDERS.get(name, name) for name in runtime.providers)
        fault = ""
        try:
            session = _session(onnxruntime, data, wished, runtime)
        except Exception as error:  # noqa: BLE001 - the runtime raises many kinds, and none of ours
            fault = type(error).__name__
        if fault:
            raise ModelFileError(f"the runtime cannot use {path.name}: {fault}", hint="is it a whole ONNX file of a supported opset?")
        names = [one.name for one in session.get_outputs()]
        if output not in names:
            raise ModelFileError(f"{path.name} has no output `{output}`", hint=f"it has: {', '.join(names)}")
        return cls(session, output, _placement(session, wished))

    def run(self, inputs: dict[str, Array]) -> Array:
        """Compute the output.

        Raises:
            UnsupportedError: the net does not take these arrays.
        """
        try:
            out: Array = self._run(self._outputs, inputs)[0]
            return out
        except Exception as error:  # noqa: BLE001 - as above; its words may hold numbers of the input
            kind = type(error).__name__
        shapes = ", ".join(f"{name} {value.dtype}{list(value.shape)}" for name, value in inputs.items() if hasattr(value, "shape"))
        raise UnsupportedError(f"the net does not take this input ({shapes}): {kind}", feature="input")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingModelError(f"there is no net at {path}", model=path.stem, hint="put the file there, or change its `path`") from None
    except OSError as error:
        raise ModelFileError(f"{path.name} cannot be read: {(error.strerror or 'unknown').lower()}") from None


def _session(onnxruntime: Any, data: bytes, wished: Sequence[str], runtime: Runtime) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = runtime.threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits takes the processor from whoever shares the machine: up to 1.8 times the work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # What it would warn of (a processor that is not there) stands in the placement.
    options.log_severity_level = 3
    if runtime.power is not None and not wished:
        policies = onnxruntime.OrtExecutionProviderDevicePolicy
        options.set_provider_selection_policy(getattr(policies, POWER[runtime.power]))
        return onnxruntime.InferenceSession(data, options)
    here = onnxruntime.get_available_providers()
    usable = [name for name in wished if name in here]
    return onnxruntime.InferenceSession(data, options, providers=usable if CPU in usable else [*usable, CPU])


def _placement(session: Any, wished: Sequence[str]) -> Placement:
    counts: Counter[str] = Counter()
    try:
        for part in session.get_provider_graph_assignment_info():
            counts[part.ep_name] += len(part.get_nodes())
    except (AttributeError, RuntimeError):
        # Runtimes before 1.24 do not tell; all that is known then is who was registered.
        return Placement((), tuple(name for name in wished if name not in session.get_providers()))
    return Placement(tuple(counts.most_common()), tuple(name for name in wished if not counts[name] and name != CPU))
