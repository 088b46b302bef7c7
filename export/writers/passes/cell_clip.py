"""Fused LSTMs without the bound that the converter puts on their cells."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema


def remove_cell_clip(model: schema.ModelT) -> None:
    """Let the cells of fused LSTMs take any value, as Keras does.

    Fusing an LSTM, TensorFlow's converter limits its cell state to +-10, which Keras does not. The
    published models' cells go beyond it: probabilities then came out wrong by up to 0.8.
    """
    for graph in model.subgraphs:
        for operator in graph.operators:
            if isinstance(operator.builtinOptions, schema.UnidirectionalSequenceLSTMOptionsT):
                operator.builtinOptions.cellClip = 0.0
