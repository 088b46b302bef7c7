"""An exported model as this project itself runs it: `.tflite` or `.onnx`."""

from __future__ import annotations

from pathlib import Path

from serving import Way, serve

RUNTIMES = {".tflite": "ai-edge-litert", ".onnx": "onnxruntime"}


def load(model: str, threads: int) -> Way:
    """The runner that every part of this project calls."""
    from export.runtimes import load_runner

    path = Path(model)
    return Way(load_runner(path, threads), packages=("eqt-compress", RUNTIMES[path.suffix]))


if __name__ == "__main__":
    serve(load)
