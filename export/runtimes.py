"""Model runners: any model, whatever its runtime, as one callable.

A runner takes normalised windows (batch, 6000, 3) float32 and returns probabilities
(batch, 6000, 3) float32 in the order detection, P, S.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from baseline.contract import PREDICTION_SHAPE, WINDOW_SHAPE
from baseline.errors import InputError
from baseline.processes import usable_threads

if TYPE_CHECKING:
    from baseline.keras import keras

KERAS_BATCH = 32

OUTPUT_NAMES = {
    "detection": ("detection", "detector"),
    "p": ("p", "picker_p", "picker_P"),
    "s": ("s", "picker_s", "picker_S"),
}
"""Names under which three separate outputs are known; order says nothing (TFLite changes it)."""


PARALLEL_ENDINGS = (".tflite", ".onnx")
"""Of files that `load_parallel_runner` opens for each thread; Keras uses all threads by itself."""


class Runner(Protocol):
    """Anything that can be evaluated, compared, timed and picked with."""

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (batch, 6000, 3) for normalised windows (batch, 6000, 3)."""
        ...


def load_runner(path: Path, threads: int = 1) -> Runner:
    """A runner for a `.keras`, `.h5`, `.tflite` or `.onnx` file.

    Args:
        path: the file.
        threads: threads the runtime may use (TFLite and ONNX; Keras uses what TensorFlow does).

    Raises:
        InputError: no such file, unknown ending, or the file cannot be run.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    match path.suffix:
        case ".tflite":
            return TfliteRunner(path, threads)
        case ".onnx":
            return OnnxRunner(path, threads)
        case ".keras":
            from baseline.checkpoint import load_keras

            return KerasRunner(load_keras(path))
        case ".h5" | ".hdf5":
            from baseline.weights import load_eqtransformer

            return KerasRunner(load_eqtransformer(path))
    raise InputError(
        f"{path}: not a model ({path.suffix or 'no'} ending).",
        "Known are .tflite, .onnx, .keras and .h5 files.",
    )


def load_parallel_runner(path: Path) -> Runner:
    """As `load_runner`, on all threads that this process may use: for many windows at once.

    A thread has a runner of its own and computes whole windows, so that the answers are those of
    one thread, bit by bit, however many there are.

    Raises:
        InputError: as there.
    """
    if path.suffix not in PARALLEL_ENDINGS:
        return load_runner(path)
    return ParallelRunner([load_runner(path) for _ in range(usable_threads())])


class ParallelRunner:
    """Runs several runners of one model, each in a thread, and gives each a part of the windows."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = runners

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Runner."""
        number = min(len(self._runners), len(windows))
        if number < 2:
            return self._runners[0](windows)
        parts = np.array_split(windows, number)
        with ThreadPoolExecutor(number) as threads:
            answers = threads.map(lambda runner, part: runner(part), self._runners, parts)
            return np.concatenate(list(answers))


class KerasRunner:
    """Runs a Keras model, in batches."""

    def __init__(self, model: keras.Model) -> None:
        from baseline.keras import tf

        if model.input_shape[1:] != WINDOW_SHAPE or model.output_shape[1:] != PREDICTION_SHAPE:
            raise InputError(
                f"The model maps {model.input_shape} to {model.output_shape}; "
                f"(batch, 6000, 3) to (batch, 6000, 3) is needed."
            )
        self.model = model
        self._predict = tf.function(
            lambda windows: model(windows, training=False),
            input_signature=[tf.TensorSpec((None, *WINDOW_SHAPE), tf.float32)],
        )

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Runner."""
        batches = [windows[i : i + KERAS_BATCH] for i in range(0, len(windows), KERAS_BATCH)]
        return np.concatenate([self._predict(batch).numpy() for batch in batches])


class TfliteRunner:
    """Runs a TFLite model, one window at a time, forgetting everything between windows.

    A fused LSTM keeps its state from one call to the next (tensorflow#47813), so variables are
    reset before each. int8 inputs and outputs are quantized and dequantized here.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        from baseline.native import quiet_stderr

        try:
            with quiet_stderr():
                self._interpreter = Interpreter(str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path}: TFLite cannot run it ({error}).") from None
        self._path = path
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or tuple(inputs[0]["shape"][1:]) != WINDOW_SHAPE:
            shapes = [tuple(int(n) for n in i["shape"]) for i in inputs]
            raise InputError(f"{path}: its inputs are {shapes}; one of (1, 6000, 3) is needed.")
        self._input = inputs[0]
        self._outputs = self._named_outputs(path)

    def _named_outputs(self, path: Path) -> list[dict[str, Any]]:
        by_index = {o["index"]: o for o in self._interpreter.get_output_details()}
        if len(by_index) == 1:
            named = {"prediction": next(iter(by_index.values()))}
        else:
            signatures = self._interpreter.get_signature_list()
            if not signatures:
                raise InputError(f"{path}: has several outputs and no signature to name them.")
            signature = next(iter(signatures))
            runner = self._interpreter.get_signature_runner(signature)
            named = {n: by_index[o["index"]] for n, o in runner.get_output_details().items()}
        return [named[name] for name in _ordered(path, list(named))]

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Runner."""
        return np.stack([self._one(window) for window in windows])

    def _one(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        self._interpreter.reset_all_variables()
        self._interpreter.set_tensor(self._input["index"], _quantize(window[None], self._input))
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self._path}: TFLite stopped in the middle of it ({reason}).",
                "An int8 model may hold a division that its calibration makes one by zero, as the "
                "attention of EQTransformer does: export float32, or quantize a distilled student.",
            ) from None
        outputs = [
            _dequantize(self._interpreter.get_tensor(output["index"]), output)
            for output in self._outputs
        ]
        return np.concatenate([o.reshape(WINDOW_SHAPE[0], -1) for o in outputs], axis=-1)


class OnnxRunner:
    """Runs an ONNX model, one window at a time."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait disturb whatever is timed next to this session.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no base class but Exception
            raise InputError(f"{path}: ONNX Runtime cannot run it ({error}).") from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or tuple(inputs[0].shape[1:]) != WINDOW_SHAPE:
            raise InputError(
                f"{path}: its inputs are {[i.shape for i in inputs]}; "
                "one of (1, 6000, 3) is needed."
            )
        self._input = inputs[0].name
        self._outputs = _ordered(path, [o.name for o in self._session.get_outputs()])

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Runner."""
        return np.concatenate([self._one(window) for window in windows])

    def _one(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = self._session.run(self._outputs, {self._input: window[None]})
        return np.concatenate([o.reshape(1, WINDOW_SHAPE[0], -1) for o in outputs], axis=-1)


def _ordered(path: Path, names: list[str]) -> list[str]:
    """The output names in the order detection, P, S, or the one name of a joint output."""
    if len(names) == 1:
        return names
    ordered = [
        name for known in OUTPUT_NAMES.values() for name in names if name.split(":")[0] in known
    ]
    if len(ordered) != len(OUTPUT_NAMES):
        raise InputError(
            f"{path}: its outputs are {names}; one joint output, or three named for detection, "
            "P and S, are needed."
        )
    return ordered


def _quantize(window: NDArray[np.float32], tensor: Mapping[str, Any]) -> NDArray[Any]:
    if tensor["dtype"] == np.float32:
        return window
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.rint(window / scale) + zero_point, limits.min, limits.max).astype(
        tensor["dtype"]
    )


def _dequantize(values: NDArray[Any], tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    if tensor["dtype"] == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale)
