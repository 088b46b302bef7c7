"""Keras 2 (tf_keras), imported in one place.

tensorflow-model-optimization and the published weights need Keras 2, which TensorFlow uses only if
`TF_USE_LEGACY_KERAS` is set before TensorFlow is first imported. Everything in this project that
needs TensorFlow or Keras imports it from here: `from baseline.keras import keras, tf`. Where the
extra `train` is not installed, that raises an InputError which says so.
"""

from __future__ import annotations

import os

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

__all__ = ["keras", "tf"]
