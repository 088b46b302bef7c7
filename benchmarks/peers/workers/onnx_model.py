"""An `.onnx` file in ONNX Runtime, a batch at once."""

from __future__ import annotations

from serving import Way, serve


def load(model: str, threads: int) -> Way:
    """The model in a session whose threads sleep while they wait."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return Way(lambda windows: session.run(None, {name: windows})[0], packages=("onnxruntime",))


if __name__ == "__main__":
    serve(load)
