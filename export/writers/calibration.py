"""The ranges of a TFLite model's tensors on windows, written into the file for the quantizer.

TensorFlow has a calibrator of its own, which takes fifteen times as long on EQTransformer and dies
with the process where the model holds a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from export.writers.flatbuffer import edit

FloatArray = NDArray[np.float32]


def calibrate(
    flatbuffer: bytes, windows: FloatArray, wanted: Callable[[str], bool] = lambda name: True
) -> bytes:
    """The same float file; each computed tensor carries the smallest and the largest value it had.

    What carries no range is not quantized: tensors inside of loops, and those that are not wanted.

    Args:
        flatbuffer: of a float32 model with one input.
        windows: normalised, (n, 6000, 3).
        wanted: whether the tensor of a name is to have a range.
    """
    lowest: dict[int, float] = {}
    highest: dict[int, float] = {}
    for values in computed_values(flatbuffer, windows, wanted):
        for index, tensor in values.items():
            lowest[index] = min(lowest.get(index, np.inf), float(tensor.min()))
            highest[index] = max(highest.get(index, -np.inf), float(tensor.max()))

    def change(model: schema.ModelT) -> None:
        for index in lowest:
            tensor = model.subgraphs[0].tensors[index]
            tensor.quantization = tensor.quantization or schema.QuantizationParametersT()
            tensor.quantization.min = np.array([lowest[index]], np.float32)
            tensor.quantization.max = np.array([highest[index]], np.float32)

    return edit(flatbuffer, change)


def computed_values(
    flatbuffer: bytes, windows: FloatArray, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[dict[int, NDArray[np.generic]]]:
    """For each window in turn what the main graph makes of it: values by index of the tensor.

    Its input is among them. Integers of int8 files come out as such. Tensors whose size is only
    known when they are computed (in loops) are left out.

    Args:
        flatbuffer: of a model with one float32 input.
        windows: normalised, (n, 6000, 3).
        wanted: whether the value of the tensor of a name is asked for.
    """
    graph = schema.ModelT.InitFromPackedBuf(flatbuffer, 0).subgraphs[0]
    numbers = (schema.TensorType.FLOAT32, schema.TensorType.INT8)
    made = (*graph.inputs, *(i for operator in graph.operators for i in operator.outputs))
    indices = [
        i
        for i in dict.fromkeys(map(int, made))
        if graph.tensors[i].type in numbers and wanted((graph.tensors[i].name or b"").decode())
    ]
    interpreter = Interpreter(
        model_content=flatbuffer,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        # A delegate keeps what is inside of its part of the graph to itself.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]["index"]
    for window in windows:
        interpreter.reset_all_variables()
        interpreter.set_tensor(entrance, window[None])
        interpreter.invoke()
        values = {}
        for index in indices:
            try:
                values[index] = interpreter.get_tensor(index)
            except ValueError:  # of unknown size, and dropped
                continue
        yield values
