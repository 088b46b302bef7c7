"""What a model costs: parameters, multiply-adds, bytes.

Multiply-adds are counted from the graph, for one window: every multiplication of a weight or an
activation that is added up (convolutions, matrix products, recurrent steps). Additions, activations
and pooling are not counted, as usual. The three counts below walk three different graphs and agree
on the same model (tests), but for the first step of an unrolled recurrence: its state is zero, and
the exported graph leaves the product with it out.
"""

from __future__ import annotations

import gzip
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from baseline.keras import keras


@dataclass(frozen=True)
class Cost:
    """Cost of one model.

    Attributes:
        parameters: numbers that were learned, BatchNorm statistics included; NaN where the file
            does not tell them from other constants.
        multiply_adds: for one window of 60 s.
        bytes: size of the file that is deployed.
        gzip_bytes: the same, compressed: what pruned weights save.
    """

    parameters: float
    multiply_adds: float
    bytes: int
    gzip_bytes: int

    def to_dict(self) -> dict[str, float]:
        """By measure, for gates and JSON; what is not known is left out."""
        return {name: value for name, value in vars(self).items() if not math.isnan(value)}


def file_bytes(path: Path) -> tuple[int, int]:
    """Size of a file, and of its gzip (level 9, no time stamp, so that it is reproducible)."""
    content = path.read_bytes()
    return len(content), len(gzip.compress(content, 9, mtime=0))


def keras_multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of a Keras model for one window."""
    return sum(layer_multiply_adds(model).values())


def layer_multiply_adds(model: keras.Model) -> dict[str, int]:
    """Multiply-adds of each layer that has any, in order.

    Raises:
        ValueError: a layer with weights whose multiply-adds are not known here.
    """
    counts = {}
    for layer in model.layers:
        number = _layer_multiply_adds(layer)
        if number:
            counts[layer.name] = number
    return counts


def _layer_multiply_adds(layer: keras.layers.Layer) -> int:
    from baseline.keras import keras
    from baseline.layers import AdditiveSelfAttention, BandedSelfAttention, EdgeCorrection1D

    layers = keras.layers
    if isinstance(layer, layers.Bidirectional):
        steps, channels = layer.input_shape[1:]
        halves = (layer.forward_layer, layer.backward_layer)
        return sum(_recurrent_multiply_adds(half, steps, channels) for half in halves)
    if isinstance(layer, layers.LSTM | layers.GRU):
        return _recurrent_multiply_adds(layer, *layer.input_shape[1:])
    if isinstance(layer, AdditiveSelfAttention):
        steps, channels = layer.input_shape[1:]
        banded = isinstance(layer, BandedSelfAttention)
        pairs = layer.neighbours(steps) if banded else steps * steps
        return 2 * steps * channels * layer.units + pairs * (layer.units + channels)
    if isinstance(layer, layers.Attention):
        (_, queries, units), (_, steps, values) = layer.input_shape[:2]
        return queries * steps * (units + values)
    if isinstance(layer, EdgeCorrection1D):
        return math.prod(layer.first.shape) + math.prod(layer.last.shape)
    if isinstance(layer, layers.SeparableConv1D):
        outputs = math.prod(layer.output_shape[1:-1])
        depthwise = math.prod(layer.depthwise_kernel.shape)
        return outputs * (depthwise + math.prod(layer.pointwise_kernel.shape))
    if isinstance(layer, layers.DepthwiseConv1D):
        return math.prod(layer.output_shape[1:-1]) * math.prod(layer.depthwise_kernel.shape)
    if isinstance(layer, layers.Conv1D | layers.Dense):
        return math.prod(layer.output_shape[1:-1]) * math.prod(layer.kernel.shape)
    if layer.weights and not isinstance(
        layer, layers.BatchNormalization | layers.LayerNormalization
    ):
        raise ValueError(f"multiply-adds of layer {layer.name} ({type(layer).__name__}) unknown")
    return 0


def _recurrent_multiply_adds(layer: keras.layers.Layer, steps: int, channels: int) -> int:
    gates = {"LSTM": 4, "GRU": 3}[type(layer).__name__]
    return steps * gates * layer.units * (channels + layer.units)


def onnx_multiply_adds(path: Path) -> int:
    """Multiply-adds of an ONNX model for one window."""
    import onnx
    from onnx.shape_inference import infer_shapes

    return _onnx_graph(infer_shapes(onnx.load(path), data_prop=True).graph, {})


def _onnx_graph(graph: Any, outer: dict[str, list[int]]) -> int:
    shapes = dict(outer)
    constants: dict[str, Any] = {}
    from onnx import numpy_helper

    for value in (*graph.value_info, *graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        shapes[value.name] = [d.dim_value for d in dims]
    for tensor in graph.initializer:
        shapes[tensor.name] = list(tensor.dims)
        constants[tensor.name] = tensor
    total = 0
    for node in graph.node:
        attributes = {a.name: a for a in node.attribute}
        first = shapes.get(node.input[0], []) if node.input else []
        match node.op_type:
            case "Conv" | "QLinearConv":
                kernel = shapes[node.input[1 if node.op_type == "Conv" else 3]]
                total += math.prod(shapes[node.output[0]]) * math.prod(kernel[1:])
            case "MatMul" | "Gemm" | "MatMulInteger":
                total += math.prod(shapes[node.output[0]]) * _contracted(first, attributes)
            case "LSTM" | "GRU":
                weight, recurrence = shapes[node.input[1]], shapes[node.input[2]]
                total += first[0] * first[1] * (math.prod(weight) + math.prod(recurrence))
            case "Loop":
                trips = int(numpy_helper.to_array(constants[node.input[0]]))
                total += trips * _onnx_graph(attributes["body"].g, shapes)
    return total


def _contracted(shape: list[int], attributes: dict[str, Any]) -> int:
    transposed = "transA" in attributes and attributes["transA"].i
    return shape[-2] if transposed else shape[-1]


def tflite_multiply_adds(path: Path) -> int:
    """Multiply-adds of a TFLite model for one window."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    return _tflite_subgraph(model, 0)


def _tflite_subgraph(model: Any, index: int) -> int:
    from export.writers.flatbuffer import operator_kind

    graph = model.subgraphs[index]
    total = 0
    for operator in graph.operators:
        name = operator_kind(model, operator)
        # An input of -1 is one that the operator can do without.
        shapes = [_tflite_shape(graph.tensors[i]) if i >= 0 else [] for i in operator.inputs]
        output = _tflite_shape(graph.tensors[operator.outputs[0]])
        match name:
            case "CONV_2D":
                total += math.prod(output) * math.prod(shapes[1][1:])
            case "DEPTHWISE_CONV_2D":
                total += math.prod(output) * math.prod(shapes[1][1:3])
            case "TRANSPOSE_CONV":
                total += math.prod(shapes[2]) * math.prod(shapes[1]) // shapes[1][-1]
            case "FULLY_CONNECTED":
                total += math.prod(output) * shapes[1][-1]
            case "BATCH_MATMUL":
                adjoint = operator.builtinOptions.adjX
                total += math.prod(output) * shapes[0][-2 if adjoint else -1]
            case "UNIDIRECTIONAL_SEQUENCE_LSTM":
                steps = shapes[0][0 if operator.builtinOptions.timeMajor else 1]
                # Inputs 1 to 8 are the weights of the four gates, for inputs and for recurrence.
                total += steps * sum(math.prod(shape) for shape in shapes[1:9])
            case "WHILE":
                trips = _tflite_trips(model, operator.builtinOptions.condSubgraphIndex)
                total += trips * _tflite_subgraph(model, operator.builtinOptions.bodySubgraphIndex)
    return total


def _tflite_shape(tensor: Any) -> list[int]:
    return [] if tensor.shape is None else [int(n) for n in tensor.shape]


def _tflite_trips(model: Any, condition: int) -> int:
    """How often a WHILE runs: Keras' loops count up to the one constant of their condition."""
    graph = model.subgraphs[condition]
    constants = [model.buffers[tensor.buffer].data for tensor in graph.tensors]
    found = [int(np.frombuffer(bytes(c), np.int32)[0]) for c in constants if c is not None]
    if len(found) != 1:
        raise ValueError("a WHILE whose number of steps is not a constant")
    return found[0]


def operators(path: Path) -> dict[str, int]:
    """How often each operator occurs in a `.tflite` or `.onnx` file, loops' bodies included."""
    counts: dict[str, int] = defaultdict(int)
    if path.suffix == ".tflite":
        from ai_edge_litert import schema_py_generated as schema

        from export.writers.flatbuffer import operator_kind

        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        for graph in model.subgraphs:
            for operator in graph.operators:
                counts[operator_kind(model, operator)] += 1
    else:
        import onnx

        for node in onnx.load(path).graph.node:
            counts[node.op_type] += 1
    return dict(counts)
