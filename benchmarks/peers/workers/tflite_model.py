"""A `.tflite` file in LiteRT, one window after another: the files have room for one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from serving import Way, serve


def load(model: str, threads: int) -> Way:
    """The model in an interpreter of its own."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model, num_threads=threads)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        answers = []
        for window in windows:
            interpreter.set_tensor(source["index"], window[None])
            interpreter.invoke()
            answers.append(interpreter.get_tensor(result["index"]))
        return np.concatenate(answers)

    return Way(run, packages=("ai-edge-litert",))


if __name__ == "__main__":
    serve(load)
