"""Leave out layers that do nothing when a model predicts."""

from __future__ import annotations

from baseline.keras import keras
from compress.graphs.edit import is_output, rebuild, remove
from compress.rewrites import Rewritten

TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
)


def drop_no_ops(model: keras.Model) -> Rewritten:
    """Without dropout and its like, linear activations, and resizing that changes nothing.

    A layer whose output the model returns stays, since it gives that output its name.
    """
    idle = [layer.name for layer in model.layers if _is_idle(layer) and not is_output(model, layer)]
    notes = dict.fromkeys(idle, "does nothing when the model predicts")
    graph = rebuild(model, dict.fromkeys(idle, remove))
    return Rewritten("leaving out layers that do nothing", graph, tuple(idle), notes)


def _is_idle(layer: keras.layers.Layer) -> bool:
    match layer:
        case keras.layers.Activation():
            return layer.activation is keras.activations.linear
        case keras.layers.ZeroPadding1D():
            return tuple(layer.padding) == (0, 0)
        case keras.layers.Cropping1D():
            return tuple(layer.cropping) == (0, 0)
        case keras.layers.UpSampling1D():
            return int(layer.size) == 1
        case keras.layers.MaxPooling1D() | keras.layers.AveragePooling1D():
            return tuple(layer.pool_size) == (1,) and tuple(layer.strides) == (1,)
        case keras.layers.Reshape():
            return tuple(layer.input_shape[1:]) == tuple(layer.output_shape[1:])
    return isinstance(layer, TRAINING_ONLY)
