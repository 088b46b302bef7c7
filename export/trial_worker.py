"""The process that tries one model file.

    python -m export.trial_worker FILE

Started by export.trial, so that a crash, a hang or a bomb stays here.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baseline.contract import WINDOW_SHAPE
from baseline.errors import InputError

if TYPE_CHECKING:
    import onnx

    from export.runtimes import Runner

CPU_LIMIT_S = 5
"""For opening a file and one window, once everything is imported; EQTransformer takes 0.3 s."""

MEMORY_LIMIT_BYTES = 3 * 2**29
"""Address space that a file may take beyond that of the runtimes: 1.5 GiB."""

_OWN_SIZE = Path("/proc/self/statm")

REFUSED = 2
"""Exit code of the worker where it says what is wrong, in the last line of standard error."""


def main(name: str) -> None:
    """Open the file and run a window through it, or read the weights that it holds."""
    path = Path(name)
    match path.suffix:
        case ".tflite":
            from ai_edge_litert import interpreter  # noqa: F401

            from export.runtimes import TfliteRunner

            _limit()
            _run(TfliteRunner(path))
        case ".onnx":
            import onnx
            import onnxruntime  # noqa: F401

            from export.runtimes import OnnxRunner

            _limit()
            require_whole(path, onnx.load_model(path, load_external_data=False))
            _run(OnnxRunner(path))
        case ".keras":
            from baseline.untrusted import require_harmless_keras

            _limit()
            require_harmless_keras(path)
        case ".h5" | ".hdf5":
            from baseline.untrusted import require_readable_weights

            _limit()
            require_readable_weights(path)


def _limit() -> None:
    """Bound what the rest of this process, a worker with everything imported, may take."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime) + 1 + CPU_LIMIT_S
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    if _OWN_SIZE.is_file():  # Linux
        pages = int(_OWN_SIZE.read_text(encoding="ascii").split()[0])
        memory = pages * resource.getpagesize() + MEMORY_LIMIT_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run(runner: Runner) -> None:
    """What it answers does not matter here."""
    runner(np.random.default_rng(0).normal(size=(1, *WINDOW_SHAPE)).astype(np.float32))


def require_whole(path: Path, model: onnx.ModelProto) -> None:
    """See that an ONNX file holds all its weights itself.

    Raises:
        InputError: some are to be read from other files, which may be any on this machine.
    """
    rest: list[Any] = [model.graph, *model.functions]
    while rest:
        here = rest.pop()
        tensors = [*getattr(here, "initializer", ())]
        for sparse in getattr(here, "sparse_initializer", ()):
            tensors += [sparse.values, sparse.indices]
        for attribute in (one for node in here.node for one in node.attribute):
            tensors += [attribute.t, *attribute.tensors]
            rest += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
        for tensor in tensors:
            if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
                raise InputError(
                    f"{path}: keeps its constant {tensor.name[:60]!r} in another file.",
                    "Give a model in one file, as `compress export` writes it.",
                )


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except MemoryError:
        reason = "takes more memory than any picker"
    except InputError as error:
        reason = str(error).removeprefix(f"{sys.argv[1]}: ")
    except Exception as error:  # whatever runtimes make of a damaged file
        reason = f"cannot be opened and run ({type(error).__name__}: {error})."
    else:
        sys.exit()
    print(" ".join(reason.split()), file=sys.stderr)
    sys.exit(REFUSED)
