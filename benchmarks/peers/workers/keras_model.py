"""The published model in Keras 2: `keras_model.py predict|function MODEL.h5 WINDOWS THREADS`.

`predict` is `Model.predict`, as the original code calls it; `function` the model as a tf.function.
The architecture is rebuilt by this project's `baseline`, since the original code does not run on
today's Keras. Its layers are Keras' own, upsampling included.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from serving import Way, serve


def load(mode: str, model: str, threads: int) -> Way:
    """The model, called in one of the two ways."""
    from baseline.keras import keras_upsampling, tf
    from baseline.weights import load_eqtransformer

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = load_eqtransformer(Path(model))
    function = tf.function(lambda windows: network(windows, training=False), reduce_retracing=True)

    def answers(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        with keras_upsampling():
            if mode == "predict":
                return network.predict(windows, batch_size=len(windows), verbose=0)
            return function(windows).numpy()

    return Way(answers, packages=("tensorflow", "tf-keras"))


if __name__ == "__main__":
    serve(load)
