"""GRUs with hard sigmoid gates as the ONNX operator.

tf2onnx makes the operator of a GRU with sigmoid gates alone and leaves a loop of any other, though
the operator has hard sigmoids too. So such a GRU is converted as if its gates were sigmoids, and
the operator is told afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from baseline.keras import keras


def is_hard_gru(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a GRU that would be the operator but for its hard sigmoid gates."""
    config = layer.get_config()
    return (
        isinstance(layer, keras.layers.GRU)
        and config["recurrent_activation"] == "hard_sigmoid"
        and config["activation"] == "tanh"
        and config["reset_after"]
        and config["use_bias"]
    )


def with_sigmoid_gates(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The same GRU with sigmoid gates."""
    return type(layer).from_config({**layer.get_config(), "recurrent_activation": "sigmoid"})


def restore_hard_sigmoid(model: onnx.ModelProto, kernels: Sequence[NDArray[np.float32]]) -> None:
    """Give the GRUs with these recurrent kernels (units, 3 units) hard sigmoid gates, in place.

    ONNX's HardSigmoid is Keras', max(0, min(1, 0.2 x + 0.5)), unless it is told other constants.

    Raises:
        ValueError: a kernel that no GRU of the model has.
    """
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    missing = {kernel.T.tobytes() for kernel in kernels}
    hard = frozenset(missing)
    for node in model.graph.node:
        if node.op_type == "GRU":
            activations = next(a.strings for a in node.attribute if a.name == "activations")
            # Two activations for each direction: of the gates and of the candidate.
            for direction, kernel in enumerate(constants[node.input[2]]):
                if kernel.tobytes() in hard:
                    activations[2 * direction] = b"HardSigmoid"
                    missing.discard(kernel.tobytes())
    if missing:
        raise ValueError(f"{len(missing)} GRU layers did not become the ONNX operator")
