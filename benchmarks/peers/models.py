"""The model files that are measured: the published model as a user would convert it, and ours.

    python -m benchmarks.peers.models            # under artifacts/peers/models

Files that are there are not made anew. The conversions beside ours are those of the tools' own
instructions, without anything of this project's writers:

- TFLite: `tf.lite.TFLiteConverter`, float32, and with `tf.lite.Optimize.DEFAULT` and no
  representative data (dynamic int8). The batch is fixed to one window: with the free batch of
  `from_keras_model` the converter gives up on the recurrent layers ("Lowering tensor list ops is
  failed"), unless the file is to need all of TensorFlow.
- ONNX: `tf2onnx.convert.from_keras`, and of that file `onnxruntime.quantization.quantize_dynamic`.

`simplified` is the published model after this project's `simplify` stage, written by its writers.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.published import fetch
from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from export.convert import Format, convert

if TYPE_CHECKING:
    from baseline.keras import keras

FOLDER = Path("artifacts/peers/models")
PUBLISHED = "eqt-conservative"
OPSET = 17

WINDOWS = "windows.npy"
ANSWERS = "answers.npy"
NUMBER_OF_WINDOWS = 64
SEED = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they are made")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, write in WRITERS.items():
        path = arguments.folder / name
        if not path.is_file():
            with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
                # The ending says what is written.
                made = Path(scratch) / name
                write(made)
                made.replace(path)
        print(f"{path}: {path.stat().st_size:,} bytes")


@cache
def windows() -> NDArray[np.float32]:
    """Normalised synthetic windows (64, 6000, 3) that every way is fed."""
    source = SyntheticSource(NUMBER_OF_WINDOWS, SEED)
    return random_windows(source, NUMBER_OF_WINDOWS, SEED)


@cache
def published() -> keras.Model:
    """The published model, unmodified."""
    from baseline.weights import load_eqtransformer

    return load_eqtransformer(fetch(PUBLISHED))


def write_answers(path: Path) -> None:
    """What the published model makes of the windows, in Keras: (64, 6000, 3) probabilities."""
    from export.runtimes import KerasRunner

    np.save(path, KerasRunner(published())(windows()))


def write_tflite(path: Path, dynamic: bool) -> None:
    """The published model by TensorFlow's converter."""
    from baseline.keras import keras_upsampling, tf

    model = published()
    window = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    function = tf.function(lambda waveform: model(waveform, training=False))
    with keras_upsampling():
        concrete = function.get_concrete_function(window)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
        if dynamic:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        path.write_bytes(converter.convert())


@cache
def converted() -> onnx.ModelProto:
    """The published model by tf2onnx, for batches of any size."""
    import tf2onnx

    from baseline.keras import keras_upsampling

    with keras_upsampling():
        return tf2onnx.convert.from_keras(published(), opset=OPSET)[0]


def write_onnx(path: Path) -> None:
    """The published model in ONNX."""
    onnx.save(converted(), path)


def write_dynamic_onnx(path: Path) -> None:
    """The same with int8 weights, and activations that are rounded as they come."""
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(converted(), path)


@cache
def simplified() -> keras.Model:
    """The published model after the stage `simplify`, with that stage's own settings."""
    from compress.stages.base import Context, StageModel
    from compress.stages.simplify import Simplify

    source = SyntheticSource(NUMBER_OF_WINDOWS, SEED)
    with tempfile.TemporaryDirectory() as scratch, Progress(disable=True) as progress:
        folder = Path(scratch)
        context = Context(published(), source, source, SEED, folder, folder, progress)
        return Simplify(kind="simplify").apply(StageModel(published()), context).keras


def write_simplified(path: Path, format: Format) -> None:
    """The simplified model by this project's writers."""
    graph = path.with_name("model.keras")
    simplified().save(graph)
    convert(graph, path, format)


WRITERS: dict[str, Callable[[Path], None]] = {
    WINDOWS: lambda path: np.save(path, windows()),
    ANSWERS: write_answers,
    "published-float32.tflite": lambda path: write_tflite(path, dynamic=False),
    "published-dynamic.tflite": lambda path: write_tflite(path, dynamic=True),
    "published-float32.onnx": write_onnx,
    "published-dynamic.onnx": write_dynamic_onnx,
    "simplified-float32.tflite": lambda path: write_simplified(path, Format.TFLITE),
    "simplified-float32.onnx": lambda path: write_simplified(path, Format.ONNX),
}


if __name__ == "__main__":
    main()
