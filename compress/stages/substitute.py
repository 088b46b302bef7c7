"""Recurrent substitution: another kind of cell in the place of an LSTM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator

from baseline.errors import InputError
from compress.cells import KERNEL, CellKind, CellOptions, find_cell
from compress.data.feeds import random_windows
from compress.stages.base import Context, Phase, StageModel
from compress.stages.fine_tuning import FineTunedStage

if TYPE_CHECKING:
    from baseline.keras import keras

Place = Literal["encoder", "decoders", "all"]

PROBE_BATCH = 32


class Substitute(FineTunedStage):
    """Put another kind of cell in the place of recurrent layers.

    Each cell is first fitted alone to what its predecessor makes of real inputs; the sequences are
    47 steps long, so that is fast. Then the whole model is fine-tuned against the baseline.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "substitute", "cell": "conv", "steps": 600}]}
    )

    phase: ClassVar[Phase] = Phase.STRUCTURE

    kind: Literal["substitute"]
    cell: CellKind = Field(
        description="What takes the place of the recurrent layers: `gru` (of the same units), "
        "`cnn-bilstm` (a convolution in front of a narrower BiLSTM) or `conv` (dilated separable "
        "convolutions, which need no loop)."
    )
    place: Place = Field(
        default="all",
        description="Which are replaced: those of the `encoder`, which serve all three "
        "probabilities, those of the `decoders`, which serve one each, or `all`.",
    )
    width: int | None = Field(
        default=None,
        ge=1,
        le=512,
        description="Units per direction of `cnn-bilstm` (null: three quarters of the replaced "
        "layer's), or channels of `conv` (null: as many as the replaced layer has).",
    )
    kernel: int | None = Field(
        default=None,
        ge=2,
        le=31,
        description=f"Steps that a convolution of `cnn-bilstm` or `conv` sees at once (null: "
        f"{KERNEL}).",
    )
    windows: int = Field(
        default=1024,
        ge=64,
        le=10_000,
        description="Windows on which each cell is fitted, and on a tenth of them measured.",
    )
    fit_steps: int = Field(
        default=800, ge=0, le=100_000, description="Fitting steps per replaced layer."
    )

    @model_validator(mode="after")
    def _options_of_the_cell(self) -> Substitute:
        if self.cell == "gru" and (self.width, self.kernel) != (None, None):
            raise ValueError(
                "width and kernel are for cnn-bilstm and conv: gru keeps its predecessor's units"
            )
        return self

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """The model with other cells; the notes say how well each was fitted."""
        from baseline.keras import keras
        from compress.cells.fitting import fit
        from compress.graphs.edit import rebuild

        keras.utils.set_random_seed(context.seed)
        names = replaceable_layers(model.keras, self.cell, self.place)
        if not names:
            where = "" if self.place == "all" else f" in its {self.place}"
            raise InputError(
                f"substitute: the model has no recurrent layer{where} that {self.cell} could "
                "replace.",
                "Leave the stage out, choose another `place`, or put it before the stage that "
                "replaced them.",
            )

        def put_cell(layer: keras.layers.Layer, inputs: Any) -> Any:
            both_ways = isinstance(layer, keras.layers.Bidirectional)
            options = CellOptions(both_ways, self.width, self.kernel or KERNEL)
            return find_cell(self.cell)(inputs, layer.output_shape[-1], layer.name, options)

        windows = random_windows(context.train, self.windows, context.seed)
        wanted = {name: model.keras.get_layer(name).output for name in names}
        examples = _activations(model.keras, wanted, windows)
        changed, notes = rebuild(model.keras, dict.fromkeys(names, put_cell)), {}
        for number, name in enumerate(names, start=1):
            layer = model.keras.get_layer(name)
            x = keras.Input(layer.input_shape[1:])
            cell = keras.Model(x, put_cell(layer, x))
            # A cell learns to make its predecessor's outputs of what the cells before it leave, so
            # that errors do not add up: on the published conservative model with `conv`, this
            # leaves a quarter less of cross-entropy to fine-tune than the predecessor's inputs.
            entry = changed.get_layer(cell.layers[1].name)
            inputs = _activations(changed, {name: entry.input}, windows)[name]
            explained = fit(
                cell,
                inputs,
                examples[name],
                steps=self.fit_steps,
                seed=context.seed,
                progress=context.progress,
                what=f"fit {name} ({number} of {len(names)})",
            )
            for fitted in cell.layers:
                if fitted.weights:
                    changed.get_layer(fitted.name).set_weights(fitted.get_weights())
            notes[name] = f"fitted: {explained:.0%} of its predecessor's variance"
        self.fine_tune(changed, context)
        return StageModel(changed, notes=notes)


def replaceable_layers(model: keras.Model, cell: CellKind, place: Place) -> list[str]:
    """Names of the recurrent layers, in order, that are not already what they would become."""
    from baseline.keras import keras
    from compress.cells.cnn_bilstm import is_cnn_bilstm

    def is_meant(layer: keras.layers.Layer) -> bool:
        inner = getattr(layer, "forward_layer", layer)
        if cell == "gru":
            return isinstance(inner, keras.layers.LSTM)
        recurrent = isinstance(inner, keras.layers.LSTM | keras.layers.GRU)
        return recurrent and not (cell == "cnn-bilstm" and is_cnn_bilstm(layer))

    shared = shared_layers(model)
    return [
        layer.name
        for layer in model.layers
        if is_meant(layer) and (place == "all" or (layer.name in shared) == (place == "encoder"))
    ]


def shared_layers(model: keras.Model) -> set[str]:
    """Names of the layers that every output of the model depends on: its encoder.

    Where one layer joins the model's outputs, they are what it joins. Whether a recurrent layer
    reads in both directions says no more where it stands once a decoder has a CNN-BiLSTM.
    """
    from baseline.keras import keras
    from compress.graphs.edit import is_output, parents

    heads = [layer for layer in model.layers if is_output(model, layer)]
    if len(heads) == 1 and isinstance(heads[0], keras.layers.Concatenate):
        heads = parents(heads[0])
    found = []
    for head in heads:
        before, waiting = {head.name}, [head]
        while waiting:
            new = [layer for layer in parents(waiting.pop()) if layer.name not in before]
            before |= {layer.name for layer in new}
            waiting += [layer for layer in new if not isinstance(layer, keras.layers.InputLayer)]
        found.append(before)
    return set.intersection(*found)


def _activations(
    model: keras.Model, tensors: dict[str, Any], windows: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """What these tensors of the model hold for normalised windows: (n, steps, channels) each."""
    from baseline.keras import keras

    return keras.Model(model.input, tensors).predict(windows, batch_size=PROBE_BATCH, verbose=0)
