"""Keras 2 (tf_keras), imported in one place.

tensorflow-model-optimization and the published weights need Keras 2, which TensorFlow uses only if
`TF_USE_LEGACY_KERAS` is set before TensorFlow is first imported. Everything in this project that
needs TensorFlow or Keras imports it from here: `from baseline.keras import keras, tf`. Where the
extra `train` is not installed, that raises an InputError which says so.

Keras' UpSampling1D splits its input into one-sample tensors and joins them again. For an
EQTransformer these are 18,000, which take most of the time of building, rebuilding and tracing it.
Here UpSampling1D computes the same by joining whole tensors. Graphs that leave this program are
traced with Keras' own (`keras_upsampling`): a baseline is measured as it converts anywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from baseline.extras import require_train
from baseline.native import quiet_stderr

require_train("tensorflow", "tf_keras")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_USE_LEGACY_KERAS"] = "1"

with quiet_stderr():
    import tensorflow as tf
    import tf_keras as keras

if tf.keras.Model is not keras.Model:
    raise ImportError(
        "TensorFlow was imported with Keras 3 before baseline.keras; set TF_USE_LEGACY_KERAS=1 "
        "before TensorFlow is first imported, or import baseline.keras first"
    )

tf.get_logger().setLevel("ERROR")

_split_and_join = keras.layers.UpSampling1D.call


def _side_by_side(self: Any, inputs: Any) -> Any:
    """Copies of each sample beside it, as further channels, are the next samples when reshaped."""
    _, steps, channels = inputs.shape
    if steps is None or channels is None:
        return _split_and_join(self, inputs)
    copies = tf.concat([inputs] * self.size, axis=-1)
    return tf.reshape(copies, (-1, self.size * steps, channels))


keras.layers.UpSampling1D.call = _side_by_side


@contextmanager
def keras_upsampling() -> Iterator[None]:
    """Keras' own UpSampling1D, for tracing what is to be converted."""
    keras.layers.UpSampling1D.call = _split_and_join
    try:
        yield
    finally:
        keras.layers.UpSampling1D.call = _side_by_side


__all__ = ["keras", "keras_upsampling", "tf"]
