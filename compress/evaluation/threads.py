"""A declared number of threads, for every runtime alike."""

from __future__ import annotations

from pathlib import Path

from export.runtimes import Runner, load_runner

_TENSORFLOW = (".keras", ".h5", ".hdf5")
"""Files that TensorFlow runs; other runtimes take their number of threads with the model."""


def load_with_threads(path: Path, threads: int) -> Runner:
    """A runner of a model's file that computes with `threads` threads, whatever its runtime.

    TFLite and ONNX Runtime are told model by model. TensorFlow has one pool per process, whose size
    has to be set before it computes anything: call this before whatever else needs TensorFlow, and
    with the same number each time. It then runs one operation at a time (inter-op 1), on `threads`
    threads (intra-op).

    Raises:
        InputError: no such file, unknown ending, or the file cannot be run.
        RuntimeError: TensorFlow has started with another number of threads.
    """
    if path.suffix in _TENSORFLOW:
        from baseline.keras import tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return load_runner(path, threads)
