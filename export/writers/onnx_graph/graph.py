"""An ONNX graph being written, and the layouts in which it holds what Keras layers make.

ONNX convolves channels first, and ONNX Runtime has fast convolutions for two dimensions only: its
blocked layout knows no other, and on a processor with AVX2 the encoder of EQTransformer takes 1.7
times as long in one dimension, separable convolutions twice as long. So a signal of `steps` x
`channels` is held as (1, channels, 1, steps) from one convolution to the next, and as (steps,
channels) between recurrent layers, attention and matrix products. It changes its layout where its
reader wants the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from baseline.keras import keras

OPSET = 17
"""The newest operator set that tf2onnx 1.17 tests and that onnxruntime quantizes per channel."""

IR_VERSION = 8
"""The one that came with the operator set; older runtimes refuse newer ones."""


class Graph:
    """Nodes and constants, in the order in which they are added.

    Attributes:
        layer: the Keras layer being written, after which nodes are named.
        integers: whether the graph is to be quantized.
        precise: names of nodes that are to stay float32 when it is.
    """

    def __init__(self, integers: bool = False) -> None:
        self.layer = ""
        self.integers = integers
        self.precise: list[str] = []
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[Any, ...], onnx.TensorProto] = {}
        self._foreign: list[onnx.TensorProto] = []
        self._names: set[str] = set()

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; the name of its last output (those before it are not used)."""
        name = self._new(f"{self.layer}/{kind}")
        made = [""] * (outputs - 1) + [f"{name}:0"]
        self._nodes.append(helper.make_node(kind, inputs, made, name, **attributes))
        return made[-1]

    def add_precise(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node that stays float32 in an int8 file."""
        output = self.add(kind, *inputs, **attributes)
        self.precise.append(self._nodes[-1].name)
        return output

    def insert(
        self, nodes: Iterable[onnx.NodeProto], constants: Iterable[onnx.TensorProto]
    ) -> None:
        """Add nodes that were made elsewhere, under names of their own."""
        self._nodes.extend(nodes)
        self._foreign.extend(constants)

    def constant(self, values: Any) -> str:
        """The name of a constant, float32 or, for shapes and places, int64; equal ones are one."""
        array = np.asarray(values)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._new(f"{self.layer}/constant")
            self._constants[key] = numpy_helper.from_array(array, name)
        return self._constants[key].name

    def reshape(self, tensor: str, *shape: int) -> str:
        """The same values, in the same order, in another shape."""
        return self.add("Reshape", tensor, self.constant(shape))

    def to_model(self, waveform: Signal, prediction: Signal) -> onnx.ModelProto:
        """The model from `waveform` to `prediction`."""
        made = helper.make_node("Identity", [prediction.plain], ["prediction"], "prediction")
        graph = helper.make_graph(
            [*self._nodes, made],
            "eqt_compress",
            [_value("waveform", waveform)],
            [_value("prediction", prediction)],
            [*self._constants.values(), *self._foreign],
        )
        return helper.make_model(
            graph,
            producer_name="eqt-compress",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )

    def _new(self, name: str) -> str:
        number, new = 0, name
        while new in self._names:
            number += 1
            new = f"{name}_{number}"
        self._names.add(new)
        return new


class Signal:
    """What a Keras layer makes for one window, as tensors of the graph.

    Attributes:
        graph: where they are.
        shape: in Keras, without the batch: (steps, channels) for most.
        channels_first: whether it was made channels first.
    """

    def __init__(
        self,
        graph: Graph,
        shape: Sequence[int],
        *,
        plain: str | None = None,
        channels: str | None = None,
    ) -> None:
        self.shape = tuple(int(size) for size in shape)
        self.channels_first = channels is not None
        self.graph = graph
        self._plain = plain
        self._channels = channels
        self._reshaped: dict[tuple[int, ...], str] = {}

    def reshaped(self, *shape: int) -> str:
        """The tensor with its values in Keras' order, in this shape."""
        if self._plain is None:
            self._plain = self.graph.add("Transpose", self.channels, perm=[0, 2, 3, 1])
        if shape not in self._reshaped:
            self._reshaped[shape] = self.graph.reshape(self._plain, *shape)
        return self._reshaped[shape]

    @property
    def plain(self) -> str:
        """The tensor as Keras has it, with a batch of one."""
        return self.reshaped(1, *self.shape)

    @property
    def rows(self) -> str:
        """The tensor as Keras has it, without a batch: (steps, channels)."""
        return self.reshaped(*self.shape)

    @property
    def channels(self) -> str:
        """The tensor (1, channels, 1, steps)."""
        if self._channels is None:
            self._channels = self.graph.add("Transpose", self.image, perm=[0, 3, 1, 2])
        return self._channels

    @property
    def own(self) -> str:
        """The tensor as it was made, of whatever shape."""
        return self.channels if self.channels_first or self._plain is None else self._plain

    @property
    def image(self) -> str:
        """Likewise, with four axes: channels first or (1, 1, steps, channels)."""
        return self.channels if self.channels_first else self.reshaped(1, 1, *self.shape)

    def like(self, tensor: str, shape: Sequence[int] | None = None) -> Signal:
        """A signal of the same layout (and shape, unless another is given) that a tensor holds."""
        if self.channels_first:
            return Signal(self.graph, shape or self.shape, channels=tensor)
        return Signal(self.graph, shape or self.shape, plain=tensor)


class Padded(Signal):
    """A signal with zeros before and behind it, which stand in the graph if they must.

    Attributes:
        inner: the signal without them.
        zeros: their number before and behind.
    """

    def __init__(self, inner: Signal, zeros: tuple[int, int]) -> None:
        steps, channels = inner.shape
        super().__init__(inner.graph, (steps + sum(zeros), channels))
        self.channels_first = True
        self.inner = inner
        self.zeros = zeros

    @property
    def channels(self) -> str:
        """The tensor (1, channels, 1, steps)."""
        if self._channels is None:
            pads = self.graph.constant([0, 0, 0, self.zeros[0], 0, 0, 0, self.zeros[1]])
            self._channels = self.graph.add("Pad", self.inner.channels, pads)
        return self._channels


@dataclass(frozen=True)
class Call:
    """A Keras layer at one place in a model.

    Attributes:
        layer: the layer.
        inputs: what it is given.
        norm: a batch normalization that alone reads what it makes, and becomes part of it.
    """

    layer: keras.layers.Layer
    inputs: list[Signal]
    norm: keras.layers.BatchNormalization | None = None


def _value(name: str, signal: Signal) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, *signal.shape))
