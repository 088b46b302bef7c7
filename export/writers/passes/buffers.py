"""Each constant once in the file."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema


def share_buffers(model: schema.ModelT) -> None:
    """Let tensors with the same content share a buffer, and those without content the empty one.

    What nothing refers to goes: the quantizer leaves a constant for each state of an LSTM, filled
    with how many it has made before, so that two files of one model would differ.

    Unrolled steps share their weights, and the converter gives every tensor a buffer of its own,
    empty where the tensor is computed. Buffer 0 is the empty one by convention. Variables, which
    an interpreter fills by itself, are computed tensors too.
    """
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used.update(metadata.buffer for metadata in model.metadata or ())
    kept = [model.buffers[0]]
    places: dict[bytes, int] = {b"": 0}
    moved = []
    for index, buffer in enumerate(model.buffers):
        content = b"" if buffer.data is None or index not in used else bytes(buffer.data)
        if content not in places:
            places[content] = len(kept)
            kept.append(buffer)
        moved.append(places[content])
    model.buffers = kept
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = moved[tensor.buffer]
    for metadata in model.metadata or ():
        metadata.buffer = moved[metadata.buffer]
