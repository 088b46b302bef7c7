"""What channels cost: how far multiply-adds or parameters fall when some are removed.

Both are sums over weight arrays, and each array shrinks along its axes with the channels that are
left. Parameters are exact this way. Multiply-adds are those of a layer, shared out over the arrays
that its inputs are multiplied with; exact but for attention, where a part depends on one axis only.
Whoever removes channels counts the new model in the end.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from baseline.keras import keras
from compress.evaluation.cost import keras_multiply_adds, layer_multiply_adds
from compress.graphs.channels import Axis, Channels, Role

Measure = Literal["multiply_adds", "parameters"]


def count(model: keras.Model, measure: Measure) -> int:
    """Multiply-adds for one window, or parameters."""
    return keras_multiply_adds(model) if measure == "multiply_adds" else model.count_params()


class Budget:
    """The cost of one model as a function of which groups are left.

    Args:
        model: the model.
        channels: its channels.
        measure: what is counted.
    """

    def __init__(self, model: keras.Model, channels: Channels, measure: Measure) -> None:
        by_array: dict[tuple[str, int], list[Axis]] = {}
        for axis in channels.axes:
            by_array.setdefault((axis.layer, axis.weight), []).append(axis)
        sizes = (
            _multiply_adds(model, by_array)
            if measure == "multiply_adds"
            else {key: float(_weight(model, *key).size) for key in by_array}
        )
        self._fixed = count(model, measure) - sum(sizes.values())
        self._sizes = np.array(list(sizes.values()))
        # Of each array's first and second axis: the share of its places that each group has.
        self._shares = np.zeros((2, len(sizes), channels.number))
        for row, key in enumerate(sizes):
            for place, axis in enumerate(by_array[key]):
                np.add.at(self._shares[place, row], axis.groups, 1.0 / len(axis.groups))
        self._one_axis = ~self._shares[1].any(axis=1)

    def total(self, kept: NDArray[np.bool_]) -> float:
        """The cost with these groups left: `kept` has shape (groups,)."""
        first, second = self._fractions(kept)
        return float(self._fixed + self._sizes @ (first * second))

    def savings(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """By group, how far the cost falls with it, to first order, while `kept` are left."""
        first, second = self._fractions(kept)
        by_group = (self._sizes * second) @ self._shares[0]
        return by_group + (self._sizes * first) @ self._shares[1]

    def _fractions(
        self, kept: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        left = kept.astype(float)
        return self._shares[0] @ left, np.where(self._one_axis, 1.0, self._shares[1] @ left)


def _weight(model: keras.Model, layer: str, weight: int) -> NDArray[np.float32]:
    return model.get_layer(layer).get_weights()[weight]


def _multiply_adds(
    model: keras.Model, by_array: dict[tuple[str, int], list[Axis]]
) -> dict[tuple[str, int], float]:
    sizes: dict[str, dict[tuple[str, int], int]] = {}
    for key, axes in by_array.items():
        array = _weight(model, *key)
        if array.ndim > 1 and any(axis.role is not Role.MAKES for axis in axes):
            sizes.setdefault(key[0], {})[key] = array.size
    counts = layer_multiply_adds(model)
    return {
        key: counts[layer] * size / sum(own.values())
        for layer, own in sizes.items()
        for key, size in own.items()
    }
