"""Quantization-aware training: weights and activations rounded to int8 while a model trains.

Layers are wrapped by tensorflow-model-optimization's `QuantizeWrapperV2`, which knows neither 1-D
convolutions nor most layers of this project; the configurations here tell it. What is rounded is
what the exported file rounds (Jacob et al. 2018, "Quantization and training of neural networks for
efficient integer-arithmetic-only inference", CVPR): weights per output channel, symmetric, in 255
steps; activations in 256 steps between the extremes that the float model has on the calibration
windows. Recurrent layers stay in float32, as in exports.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from baseline.keras import keras, tf
from compress.graphs.edit import Change, children, parents, place, rebuild
from compress.rewrites.batch_norm import fold_batch_norms
from export.runtimes import KERAS_BATCH
from export.writers.recurrent import is_recurrent

# Keras 2 has to be chosen before these import TensorFlow:
# isort: split
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import (
    QuantizeLayer,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import (
    QuantizeWrapperV2,
)
from tensorflow_model_optimization.quantization.keras import QuantizeConfig
from tensorflow_model_optimization.quantization.keras.quantizers import Quantizer

BITS = 8
ROUNDED = "rounded_"
DEPTHWISE = "_depthwise"

KERNELS = (keras.layers.Conv1D, keras.layers.Dense)
"""Layers of one kernel with the output channels as its last axis; DepthwiseConv1D is none."""

MOVES = (
    keras.layers.InputLayer,
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Cropping1D,
    keras.layers.ZeroPadding1D,
    keras.layers.MaxPooling1D,
    keras.layers.UpSampling1D,
)
"""Layers whose output has the values of their input, and so its scale."""


@keras.saving.register_keras_serializable(package="eqt_compress")
class PerChannel(Quantizer):
    """Rounds a kernel to 255 steps, symmetric, its own for each channel.

    Args:
        axis: of the channels.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """No variables: the range is that of the kernel."""
        del tensor_shape, name, layer
        return {}

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        """The rounded kernel."""
        del training, weights, kwargs
        last = len(inputs.shape) - 1
        axis = self.axis % (last + 1)
        order = [*(a for a in range(last + 1) if a != axis), axis]
        kernel = tf.transpose(inputs, order)
        bound = tf.maximum(tf.reduce_max(tf.abs(kernel), axis=list(range(last))), 1e-9)
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -bound, bound, BITS, narrow_range=True
        )
        return tf.transpose(rounded, np.argsort(order))

    def get_config(self) -> dict[str, Any]:
        """The argument that rebuilds it."""
        return {"axis": self.axis}


@keras.saving.register_keras_serializable(package="eqt_compress")
class Between(Quantizer):
    """Rounds activations to 256 steps between two bounds, which stay as they are set."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Variables for the bounds."""
        del tensor_shape
        return {
            end: layer.add_weight(
                f"{name}_{end}",
                initializer=keras.initializers.Constant(value),
                trainable=False,
            )
            for end, value in (("lowest", -1.0), ("highest", 1.0))
        }

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        """The rounded activations."""
        del training, kwargs
        return tf.quantization.fake_quant_with_min_max_vars(
            inputs, weights["lowest"], weights["highest"], BITS
        )

    def get_config(self) -> dict[str, Any]:
        """Nothing."""
        return {}


@keras.saving.register_keras_serializable(package="eqt_compress")
class Rounded(QuantizeConfig):
    """What of a layer is rounded.

    Args:
        kernel: the attribute that holds its kernel, or None.
        axis: of the kernel's channels.
        output: whether what it makes is rounded, too; not where an activation behind it is fused.
    """

    def __init__(self, kernel: str | None, axis: int = -1, output: bool = True) -> None:
        self.kernel = kernel
        self.axis = axis
        self.output = output

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Quantizer]]:
        """The kernel."""
        return [(getattr(layer, self.kernel), PerChannel(self.axis))] if self.kernel else []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Put the rounded kernel in its place."""
        if self.kernel:
            setattr(layer, self.kernel, quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """None: what is rounded is the output."""
        del layer
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Nothing to set."""

    def get_output_quantizers(self, layer: Any) -> list[Quantizer]:
        """The output's."""
        del layer
        return [Between()] if self.output else []

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild it."""
        return {"kernel": self.kernel, "axis": self.axis, "output": self.output}


def with_rounding(model: keras.Model, windows: NDArray[np.float32]) -> keras.Model:
    """A copy that computes as its int8 export will, batch normalizations folded.

    Separable convolutions become two layers, since what is between them is rounded as well.

    Args:
        model: float32.
        windows: to find the extremes of activations on, normalised, (n, 6000, 3).

    Raises:
        InputError: the model has nothing to round.
    """
    plain = _with_two_for_one(fold_batch_norms(model).model)
    if not any(_is_linear(layer) for layer in plain.layers):
        raise InputError("quantize: the model has no convolution or matrix product to round.")
    readers = children(plain)
    changes: dict[str, Change] = {}
    for layer in plain.layers:
        if isinstance(layer, MOVES) or is_recurrent(layer):
            continue
        behind = readers[layer.name]
        fused = len(behind) == 1 and isinstance(behind[0], keras.layers.ReLU)
        changes[layer.name] = _wrapped(output=not (fused and _is_linear(layer)))
    rounded = rebuild(plain, changes)
    _set_bounds(rounded, plain, windows)
    return rounded


def without_rounding(rounded: keras.Model, model: keras.Model) -> keras.Model:
    """The float32 graph again, with the weights that were trained.

    Args:
        rounded: what `with_rounding` made, trained.
        model: what it was made from.
    """
    graph = fold_batch_norms(model).model
    by_layer = {wrapper.layer.name: wrapper for wrapper in _wrappers(rounded)}
    for layer in graph.layers:
        if isinstance(layer, keras.layers.SeparableConv1D):
            parts = (by_layer[layer.name + DEPTHWISE], by_layer[layer.name])
            depthwise = _own_weights(parts[0], "depthwise_kernel")
            layer.set_weights([*depthwise, *_own_weights(parts[1], "kernel", "bias")])
        elif layer.name not in by_layer:
            layer.set_weights(rounded.get_layer(layer.name).get_weights())
        elif layer.get_weights():
            names = [weight.name.split("/")[-1].split(":")[0] for weight in layer.weights]
            layer.set_weights(_own_weights(by_layer[layer.name], *names))
    return graph


def _own_weights(wrapper: QuantizeWrapperV2, *names: str) -> list[NDArray[np.float32]]:
    """Weights of the wrapped layer, by what they are called in it, in this order."""
    values = {w.name.split("/")[-1].split(":")[0]: w.numpy() for w in wrapper.weights}
    return [values[name] for name in names if name in values]


def _wrappers(model: keras.Model) -> list[QuantizeWrapperV2]:
    return [layer for layer in model.layers if isinstance(layer, QuantizeWrapperV2)]


def _is_linear(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, (*KERNELS, keras.layers.DepthwiseConv1D))


def _with_two_for_one(model: keras.Model) -> keras.Model:
    """The same model with two convolutions in the place of each separable one."""

    def change(layer: keras.layers.SeparableConv1D, inputs: Any) -> Any:
        depthwise, *rest = layer.get_weights()
        first = keras.layers.DepthwiseConv1D(
            layer.kernel_size,
            strides=layer.strides,
            padding=layer.padding,
            depth_multiplier=layer.depth_multiplier,
            dilation_rate=layer.dilation_rate,
            use_bias=False,
            name=layer.name + DEPTHWISE,
        )
        second = keras.layers.Conv1D(
            layer.filters,
            1,
            activation=layer.activation,
            use_bias=layer.use_bias,
            name=layer.name,
        )
        return place(second, place(first, inputs, [depthwise]), rest)

    separable = keras.layers.SeparableConv1D
    return rebuild(model, {x.name: change for x in model.layers if isinstance(x, separable)})


def _wrapped(output: bool) -> Change:
    """The change that puts a layer, which rounds, in the place of one that does not."""

    def change(layer: keras.layers.Layer, inputs: Any) -> Any:
        if any(isinstance(parent, keras.layers.InputLayer) for parent in parents(layer)):
            inputs = QuantizeLayer(Between(), name=f"{ROUNDED}input_{layer.name}")(inputs)
        config = Rounded(None, output=output)
        if isinstance(layer, keras.layers.DepthwiseConv1D):
            config = Rounded("depthwise_kernel", axis=-2, output=output)
        elif isinstance(layer, KERNELS):
            config = Rounded("kernel", output=output)
        fresh = type(layer).from_config(layer.get_config())
        fresh.build([x.shape for x in inputs] if isinstance(inputs, list) else inputs.shape)
        fresh.set_weights(layer.get_weights())
        return place(QuantizeWrapperV2(fresh, config, name=ROUNDED + layer.name), inputs)

    return change


def _set_bounds(rounded: keras.Model, plain: keras.Model, windows: NDArray[np.float32]) -> None:
    """Set the bounds of all roundings to the extremes that the float model has."""
    inner = {layer.name: layer.output for layer in plain.layers}
    seen = tf.function(keras.Model(plain.inputs, inner), reduce_retracing=True)
    extremes: dict[str, tuple[float, float]] = {}
    for first in range(0, len(windows), KERAS_BATCH):
        for name, values in seen(windows[first : first + KERAS_BATCH], training=False).items():
            low, high = extremes.get(name, (0.0, 0.0))  # zero has to be a step of every range
            extremes[name] = (
                min(low, float(tf.reduce_min(values))),
                max(high, float(tf.reduce_max(values))),
            )
    waveform = plain.inputs[0].node.layer.name
    for layer in rounded.layers:
        named = {w.name.split(":")[0].rsplit("_", 1)[-1]: w for w in layer.weights}
        if "lowest" in named:
            of = layer.layer.name if isinstance(layer, QuantizeWrapperV2) else waveform
            named["lowest"].assign(extremes[of][0])
            named["highest"].assign(extremes[of][1])
