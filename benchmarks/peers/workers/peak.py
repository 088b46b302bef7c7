"""The most arithmetic that libraries get out of this machine: `peak.py THREADS SECONDS`.

float32: products of square matrices by NumPy (OpenBLAS). int8: the same by ONNX Runtime
(MatMulInteger, unsigned by signed bytes into 32 bits). The best of several sizes, of the fastest
call within some seconds each. Prints operations (two per multiply-add) per second as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

SIZES = (128, 256, 384, 512, 768, 1024)


def main(threads: str, seconds: str) -> None:
    """Print the best of both."""
    random = np.random.default_rng(0)
    session = integer_product(int(threads))
    best = {"float32": 0.0, "int8": 0.0}
    for size in SIZES:
        a, b = random.standard_normal((2, size, size), np.float32)
        c = np.empty_like(a)
        codes = random.integers(-64, 64, (2, size, size))
        u, s = (codes[0] + 64).astype(np.uint8), codes[1].astype(np.int8)
        products: dict[str, Callable[[], object]] = {
            "float32": partial(np.matmul, a, b, out=c),
            "int8": partial(session.run, None, {"a": u, "b": s}),
        }
        for precision, product in products.items():
            best[precision] = max(best[precision], 2 * size**3 / fastest(product, float(seconds)))
    print(json.dumps(best))


def fastest(product: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest call within so many."""
    product()
    times: list[int] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter_ns()
        product()
        times.append(time.perf_counter_ns() - begin)
    return min(times) / 1e9


def integer_product(threads: int) -> onnxruntime.InferenceSession:
    """A model that multiplies two matrices of bytes."""
    ends = [
        helper.make_tensor_value_info(name, kind, ["n", "n"])
        for name, kind in (
            ("a", TensorProto.UINT8),
            ("b", TensorProto.INT8),
            ("c", TensorProto.INT32),
        )
    ]
    node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "product", ends[:2], ends[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
