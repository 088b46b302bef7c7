"""No names for tensors that nobody asks for by name."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema


def drop_inner_names(model: schema.ModelT) -> None:
    """Take the names from all tensors but the inputs and outputs of a graph.

    The converter puts together the names of everything that became one tensor: in an int8 GRU of
    48 steps, two thirds of the file.
    """
    for graph in model.subgraphs:
        named = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in named:
                tensor.name = None
