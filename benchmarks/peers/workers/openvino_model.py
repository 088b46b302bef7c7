"""An `.onnx` file in OpenVINO, in float32.

Files for batches of any size are compiled for each size and take a batch at once; those for one
window take one after the other.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from serving import Way, serve


def load(model: str, threads: int) -> Way:
    """The model, compiled for the lowest latency."""
    import openvino

    core = openvino.Core()
    network = core.read_model(model)
    one_by_one = network.input(0).partial_shape[0].is_static
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }

    @cache
    def request(batch: int) -> Any:
        if not one_by_one:
            network.reshape([batch, 6000, 3])
        return core.compile_model(network, "CPU", settings).create_infer_request()

    def answer(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        made = request(len(windows))
        made.infer([windows], share_inputs=True)
        return made.get_output_tensor(0).data

    def each_answer(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([answer(window[None]).copy() for window in windows])

    return Way(each_answer if one_by_one else answer, packages=("openvino",))


if __name__ == "__main__":
    serve(load)
