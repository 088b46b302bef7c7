"""ONNX graphs written from Keras layers: the same numbers, and no operator that need not be."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import small_models
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.checkpoint import load_keras
from baseline.keras import keras, tf
from baseline.layers import (
    AdditiveSelfAttention,
    BandedSelfAttention,
    EdgeCorrection1D,
    Saturation,
)
from compress.rewrites.attention import band_attention
from compress.rewrites.batch_norm import fold_batch_norms
from compress.rewrites.upsampling import fold_upsampling
from export.convert import Precision
from export.writers.onnx import write_onnx
from export.writers.onnx_graph.build import build_graph
from export.writers.onnx_graph.tidy import tidy

RELEASED = Path(__file__).parents[2] / "artifacts" / "released"
STEPS, CHANNELS = 24, 6
MOVES = ("Transpose", "Reshape", "Squeeze", "Unsqueeze")
layers = keras.layers


def answers(model, x):
    """Of an ONNX model, for windows one at a time."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.concatenate([session.run(None, {"waveform": each[None]})[0] for each in x])


def written(model):
    """The ONNX graph's operators, after its answers were compared with Keras'."""
    small_models.settled(model)
    x = np.random.default_rng(0).normal(size=(5, *model.input_shape[1:])).astype(np.float32)
    made, _ = build_graph(model)
    expected = model(x).numpy()
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(answers(made, x), expected, rtol=1e-5, atol=2e-6)
    return Counter(node.op_type for node in made.graph.node)


def through(*stack, shape=(STEPS, CHANNELS)):
    """A model of one layer after the other."""
    waveform = x = keras.Input(shape)
    for layer in stack:
        x = layer(x)
    return keras.Model(waveform, x)


CONVOLUTIONS = [
    layers.Conv1D(4, 3),
    layers.Conv1D(4, 4, padding="same", strides=3, activation="relu"),
    layers.Conv1D(4, 3, padding="causal", dilation_rate=2, use_bias=False),
    layers.Conv1D(6, 5, padding="same", groups=3, activation="tanh"),
    layers.Conv1D(4, 1, activation="hard_sigmoid"),
    layers.DepthwiseConv1D(4, padding="same", depth_multiplier=2, activation="elu"),
    layers.SeparableConv1D(4, 5, padding="same", strides=2, depth_multiplier=2),
    layers.SeparableConv1D(4, 3, padding="same", dilation_rate=4, activation="softsign"),
    layers.Dense(4, activation="softplus"),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("channels_first", [False, True])
def test_convolutions_take_on_the_normalization_behind_them(layer, channels_first):
    copy = type(layer).from_config(layer.get_config() | {"activation": "linear"})
    before = [layers.MaxPooling1D(2, 1, padding="same")] if channels_first else []
    used = written(through(*before, copy, layers.BatchNormalization(), layers.Activation("relu")))
    assert used["Relu"] == 1
    assert not used.keys() & {"BatchNormalization", "Mul", "Add"}
    kind = layer.get_config()["activation"]
    assert written(through(*before, layer)).total() == used.total() - (kind == "linear")


def test_two_readers_keep_a_normalization_apart():
    waveform = keras.Input((STEPS, CHANNELS))
    x = layers.Conv1D(4, 3, padding="same")(waveform)
    y = layers.BatchNormalization()(x)
    used = written(keras.Model(waveform, layers.Add()([x, y])))
    assert used["BatchNormalization"] == 1


OTHERS = [
    layers.MaxPooling1D(3, 2, padding="same"),
    layers.MaxPooling1D(2),
    layers.AveragePooling1D(5, 2, padding="same"),
    layers.BatchNormalization(),
    layers.BatchNormalization(scale=False, center=False),
    layers.LayerNormalization(epsilon=1e-14),
    layers.ReLU(),
    layers.Activation("sigmoid"),
    Saturation(0.5),
    layers.Cropping1D((1, 2)),
    layers.ZeroPadding1D((2, 1)),
    layers.Reshape((STEPS * 2, CHANNELS // 2)),
    layers.Reshape((4, 6, CHANNELS)),
    layers.Flatten(),
    layers.Dropout(0.5),
    layers.LSTM(4, return_sequences=True, activation="relu"),
    layers.GRU(4, return_sequences=True, reset_after=False, recurrent_activation="hard_sigmoid"),
    layers.GRU(4, return_sequences=True, use_bias=False),
    layers.Bidirectional(layers.LSTM(3, return_sequences=True, recurrent_activation="tanh")),
    AdditiveSelfAttention(5),
    BandedSelfAttention(5, 3),
    BandedSelfAttention(5, 4),
]
FOREIGN = [
    layers.ReLU(1.0),
    layers.LeakyReLU(),
    layers.UpSampling1D(2),
    layers.Permute((2, 1)),
    layers.LSTM(4),
    layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="sum"),
    AdditiveSelfAttention(5, 3),
    layers.Lambda(lambda x: tf.sin(x)),
]
"""Layers, or settings of layers, that tf2onnx converts."""


@pytest.mark.parametrize(
    ("layer", "channels_first"),
    [(layer, first) for layer in OTHERS for first in (False, True)]
    + [(layer, True) for layer in FOREIGN],
)
def test_layers_compute_what_keras_computes(layer, channels_first):
    stack = [layer]
    if channels_first:
        stack = [layers.Conv1D(CHANNELS, 3, padding="same"), layer]
    written(through(*stack))


def test_masks_are_heeded():
    stack = [layers.Masking(), layers.GRU(4, return_sequences=True)]
    model = small_models.settled(through(*stack))
    x = np.random.default_rng(0).normal(size=(2, STEPS, CHANNELS)).astype(np.float32)
    x[:, 15:] = 0.0
    made, _ = build_graph(model)
    np.testing.assert_allclose(answers(made, x), model(x).numpy(), atol=1e-6)


@pytest.mark.parametrize("first", [1, 3])
def test_edges_are_corrected(first):
    samples = keras.Input((STEPS, CHANNELS))
    outputs = layers.Conv1D(4, 3, padding="same")(samples)
    used = written(keras.Model(samples, EdgeCorrection1D(first, 2)([outputs, samples])))
    assert used["ConvTranspose"] == used["Add"] == 1


@pytest.mark.parametrize("channels_first", [False, True])
def test_dot_attention(channels_first):
    waveform = keras.Input((STEPS, CHANNELS))
    x = layers.Conv1D(4, 3, padding="same")(waveform) if channels_first else waveform
    query, key, value = (layers.Conv1D(units, 1)(x) for units in (3, 3, 5))
    used = written(keras.Model(waveform, layers.Attention()([query, value, key])))
    assert used["MatMul"] == 2
    assert used["Softmax"] == 1


def test_merges():
    waveform = keras.Input((STEPS, CHANNELS))
    x = layers.Conv1D(CHANNELS, 3, padding="same")(waveform)
    for merge in (layers.Add(), layers.Multiply(), layers.Maximum(), layers.Minimum()):
        used = written(keras.Model(waveform, merge([x, waveform, x])))
        assert used.total() <= 3 + 1 + sum(used[kind] for kind in MOVES)
        assert sum(used[kind] for kind in MOVES) <= 4
    written(keras.Model(waveform, layers.Concatenate()([x, waveform])))
    written(keras.Model(waveform, layers.Concatenate(axis=1)([x, waveform])))
    written(keras.Model(waveform, layers.Add()([x, waveform[:, :1]])))


def test_what_is_random_in_use_is_not_left_out():
    waveform = keras.Input((STEPS, CHANNELS))
    made, _ = build_graph(keras.Model(waveform, layers.Dropout(0.5)(waveform, training=True)))
    x = np.ones((1, STEPS, CHANNELS), np.float32)
    assert set(np.unique(answers(made, x))) == {0.0, 2.0}


LINKS = st.sampled_from(
    [
        lambda: layers.Conv1D(4, 3, padding="same", activation="relu"),
        lambda: layers.SeparableConv1D(6, 3, padding="same"),
        lambda: layers.MaxPooling1D(2, 1, padding="same"),
        lambda: layers.BatchNormalization(),
        lambda: layers.Activation("tanh"),
        lambda: layers.ZeroPadding1D(1),
        lambda: layers.Cropping1D(1),
        lambda: layers.ReLU(),
    ]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LINKS, min_size=1, max_size=6))
def test_layout_changes_at_the_ends_alone(links):
    used = written(through(*(link() for link in links)))
    assert used["Transpose"] <= 2
    assert used["Reshape"] <= 2 + 2 * used["BatchNormalization"], "rows, before any convolution"
    assert not used.keys() & {"Squeeze", "Unsqueeze", "Identity"}


@pytest.mark.parametrize(
    ("name", "nodes", "sub_pixel", "bound"),
    [("student", 38, 2, {"Clip"}), ("student-small", 52, 3, set())],
)
def test_a_released_student_is_small_graph(name, nodes, sub_pixel, bound):
    graph = build_graph(load_keras(RELEASED / f"{name}.keras"))[0].graph
    used = Counter(node.op_type for node in graph.node)
    assert used.total() <= nodes
    assert set(used) == {"Conv", "Relu", "Add", "Sigmoid", "Transpose", "Reshape"} | bound
    # One change of layout at either end, and at each sub-pixel level one to rows and one back; the
    # last of these levels is the output's.
    assert used["Transpose"] == 2 + 2 * (sub_pixel - 1)
    assert used["Reshape"] == 2 + sub_pixel


def test_a_first_layer_over_blocks_is_a_matrix_product():
    graph = build_graph(load_keras(RELEASED / "student-fast.keras"))[0].graph
    used = Counter(node.op_type for node in graph.node)
    assert used.total() <= 38
    assert used["Gemm"] == used["Clip"] == 1
    assert used["Transpose"] == 4


@pytest.mark.parametrize(("name", "convolutions"), [("student", 14), ("student-small", 22)])
def test_an_int8_student_converts_each_tensor_once(name, convolutions, windows):
    content = write_onnx(load_keras(RELEASED / f"{name}.keras"), Precision.INT8, windows[:4])
    graph = onnx.load_from_string(content).graph
    used = Counter(node.op_type for node in graph.node)
    assert used["Conv"] == convolutions
    assert used["Relu"] == 0, "the range of a convolution ends where its ReLU does"
    computing = used.total() - used["QuantizeLinear"] - used["DequantizeLinear"]
    assert used["QuantizeLinear"] <= computing
    kernels_and_biases = sum(len(node.input) - 1 for node in graph.node if node.op_type == "Conv")
    assert used["DequantizeLinear"] == used["QuantizeLinear"] + kernels_and_biases


@pytest.fixture(scope="module")
def simplified():
    """An EQTransformer with all levels and few channels after the exact rewrites."""
    config = EqtConfig(
        encoder_filters=(2, 2, 3, 3, 4, 4, 4),
        residual_kernels=(3,),
        recurrent_blocks=1,
        recurrent_units=3,
    )
    model = build_eqtransformer(config)
    for rewrite in (fold_batch_norms, fold_upsampling, band_attention):
        model = rewrite(model).model
    return small_models.settled(model)


def test_a_simplified_eqtransformer_changes_its_layout_where_it_must(simplified, windows):
    made, _ = build_graph(simplified)
    expected = simplified(windows[:4]).numpy()
    np.testing.assert_allclose(answers(made, windows[:4]), expected, rtol=1e-4, atol=1e-5)
    used = Counter(node.op_type for node in made.graph.node)
    levels, decoders = 7, 3
    # To rows and back at each level of a decoder; the input; to rows for recurrence, and back for
    # each decoder; the output.
    assert used["Transpose"] == 2 * levels * decoders + 1 + 1 + decoders + 1
    assert used["Conv"] == levels + 2 + decoders * (levels + 1)
    assert used["LSTM"] == 3
    assert used["BatchNormalization"] == 1
    assert not used.keys() & {"Squeeze", "Unsqueeze", "Pad", "Split", "Loop"}
    assert used.total() < 245


def tiny_graph(nodes, outputs=("y",)):
    values = [helper.make_tensor_value_info(name, 1, [1, 2, 3]) for name in ("waveform", *outputs)]
    shape = [onnx.numpy_helper.from_array(np.array(s), n) for n, s in SHAPES.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], shape)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


SHAPES = {"flat": [6], "turned": [3, 2], "whole": [1, 2, 3]}


def test_tidy_leaves_one_reshape_of_a_row_of_them():
    nodes = [
        helper.make_node("Reshape", ["waveform", "flat"], ["a"]),
        helper.make_node("Reshape", ["a", "turned"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Identity", ["c"], ["d"]),
        helper.make_node("Reshape", ["d", "whole"], ["y"]),
        helper.make_node("Relu", ["a"], ["nobody"]),
    ]
    model = tiny_graph(nodes)
    x = np.arange(-3, 3, dtype=np.float32).reshape(1, 2, 3)
    before = answers(model, x)
    tidy(model)
    assert [node.op_type for node in model.graph.node] == ["Reshape", "Relu", "Reshape"]
    assert {t.name for t in model.graph.initializer} == {"turned", "whole"}
    np.testing.assert_array_equal(answers(model, x), before)


def test_tidy_drops_a_way_there_and_back():
    nodes = [
        helper.make_node("Relu", ["waveform"], ["r"]),
        helper.make_node("Reshape", ["r", "flat"], ["a"]),
        helper.make_node("Reshape", ["a", "whole"], ["b"]),
        helper.make_node("Identity", ["b"], ["y"]),
    ]
    model = tiny_graph(nodes)
    tidy(model)
    assert [node.op_type for node in model.graph.node] == ["Relu"]
    assert model.graph.node[0].output[0] == "y"
