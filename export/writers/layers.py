"""Which Keras layer a part of an exported graph comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from baseline.keras import keras

EXPLODED = 8
"""A file of so many times the model's float32 weights holds something else than weights."""

GRAPH_BYTES = 2_000_000
"""What a graph may take beside weights: unrolled recurrent layers take a million bytes."""


def layer_of(name: str, layers: Collection[str]) -> str | None:
    """The first of the Keras layers that a tensor's or operator's name speaks of.

    Converters name what they make after the scopes of what it was made from
    (`model/encoder_0_conv/Relu;model/encoder_0_conv/BiasAdd`).
    """
    for part in name.replace(";", "/").replace(":", "/").split("/"):
        if part in layers:
            return part
    return None


def require_size(model: keras.Model, size: int, operators: Iterable[str]) -> None:
    """Refuse a file that is many times larger than what it is made from.

    Args:
        model: what was converted.
        size: of the file, in bytes.
        operators: the name of each.

    Raises:
        ValueError: says which layer most operators are of.
    """
    expected = EXPLODED * 4 * model.count_params() + GRAPH_BYTES
    if size <= expected:
        return
    layers = {layer.name for layer in model.layers}
    found = Counter(layer_of(name, layers) or "no layer" for name in operators)
    (worst, number), total = found.most_common(1)[0], sum(found.values())
    raise ValueError(
        f"the file would have {size:,} bytes for {model.count_params():,} parameters; "
        f"{number:,} of its {total:,} operators are of {worst}"
    )
