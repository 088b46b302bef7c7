"""Recurrent substitution: GRU in place of LSTM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rich.progress import Progress

from baseline.errors import InputError
from compress.data.feeds import TargetFeed, random_windows, write_targets
from compress.stages.base import Context, Phase, Stage, StageModel

if TYPE_CHECKING:
    from baseline.keras import keras

PROBE_BATCH = 32


class Substitute(Stage):
    """Replace every LSTM by a GRU of the same width (three gates instead of four).

    Each GRU is first fitted alone to what its predecessor makes of the same inputs; the sequences
    are 47 steps long, so that is fast. Then the whole model is fine-tuned against the baseline.
    """

    phase: ClassVar[Phase] = Phase.STRUCTURE

    kind: Literal["substitute"]
    cell: Literal["gru"] = Field(description="What takes the place of the LSTM.")
    windows: int = Field(
        default=1024, ge=64, le=10_000, description="Windows on which each layer is fitted."
    )
    fit_steps: int = Field(
        default=400, ge=0, le=100_000, description="Fitting steps per replaced layer."
    )
    records: int = Field(
        default=1000, ge=1, le=1_000_000, description="Training records for fine-tuning."
    )
    shifts: int = Field(
        default=2, ge=2, le=64, description="Windows per record in the teacher's consensus."
    )
    steps: int = Field(default=200, ge=0, le=1_000_000, description="Fine-tuning steps.")
    batch: int = Field(default=16, ge=1, le=1024, description="Windows per fine-tuning step.")
    learning_rate: float = Field(
        default=3e-4, gt=0, le=1, description="Peak learning rate of fine-tuning."
    )

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """The model with GRUs."""
        from baseline.keras import keras
        from compress.stages.training import train
        from export.runtimes import KerasRunner

        keras.utils.set_random_seed(context.seed)
        replaced = recurrent_layers(model.keras)
        if not replaced:
            raise InputError(
                "substitute: the model has no LSTM to replace.",
                "Leave the stage out, or put it before the stage that removed them.",
            )
        changed = with_gru(model.keras)
        windows = random_windows(context.train, self.windows, context.seed)
        examples = _inputs_and_outputs(model.keras, replaced, windows)
        for number, (name, (inputs, outputs)) in enumerate(examples.items(), start=1):
            _fit(
                changed.get_layer(name),
                inputs,
                outputs,
                steps=self.fit_steps,
                seed=context.seed,
                progress=context.progress,
                what=f"fit {name} ({number} of {len(replaced)})",
            )
        if self.steps:
            targets = context.scratch / "targets.h5"
            write_targets(
                targets,
                KerasRunner(context.baseline),
                context.train,
                number=self.records,
                shifts=self.shifts,
                seed=context.seed,
                progress=context.progress,
            )
            train(
                changed,
                TargetFeed(targets, self.batch, context.seed, augmented=True),
                steps=self.steps,
                learning_rate=self.learning_rate,
                warmup_steps=self.steps // 10,
                average=0.98,
                frozen_statistics=True,
                scratch=context.scratch,
                history=context.products / "history.csv",
                progress=context.progress,
                what="fine-tune",
            )
        return StageModel(changed)


def recurrent_layers(model: keras.Model) -> list[str]:
    """Names of the layers that are LSTMs, in one direction or both."""
    from baseline.keras import keras

    def is_lstm(layer: keras.layers.Layer) -> bool:
        inner = getattr(layer, "forward_layer", layer)
        return isinstance(inner, keras.layers.LSTM)

    return [layer.name for layer in model.layers if is_lstm(layer)]


def with_gru(model: keras.Model) -> keras.Model:
    """The same graph with an untrained GRU for each LSTM, all other weights kept.

    The reset gate comes after the matrix product: the only form that ONNX has as one operator.
    """
    from baseline.keras import keras

    names = set(recurrent_layers(model))

    def gru(lstm: keras.layers.LSTM) -> keras.layers.GRU:
        return keras.layers.GRU(
            lstm.units,
            return_sequences=True,
            go_backwards=lstm.go_backwards,
            reset_after=True,
            name=lstm.name,
        )

    def substitute(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in names:
            return layer.__class__.from_config(layer.get_config())
        if isinstance(layer, keras.layers.Bidirectional):
            return keras.layers.Bidirectional(gru(layer.forward_layer), name=layer.name)
        return gru(layer)

    changed = keras.models.clone_model(model, clone_function=substitute)
    for layer in changed.layers:
        if layer.weights and layer.name not in names:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return changed


def _inputs_and_outputs(
    model: keras.Model, names: list[str], windows: NDArray[np.float32]
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """What each layer sees and answers on these windows: (n, steps, channels) each."""
    from baseline.keras import keras

    layers = [model.get_layer(name) for name in names]
    probe = keras.Model(model.input, [(layer.input, layer.output) for layer in layers])
    answers = probe.predict(windows, batch_size=PROBE_BATCH, verbose=0)
    return dict(zip(names, answers, strict=True))


def _fit(
    layer: keras.layers.Layer,
    inputs: NDArray[np.float32],
    outputs: NDArray[np.float32],
    *,
    steps: int,
    seed: int,
    progress: Progress,
    what: str,
) -> None:
    """Train one layer alone, by mean squared error, until it answers as its predecessor did."""
    from baseline.keras import keras, tf

    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(1e-2, max(steps, 1)), global_clipnorm=1.0
    )
    variables = layer.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(x) - y))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    random = np.random.default_rng(seed)
    for _ in progress.track(range(steps), description=what):
        batch = random.integers(len(inputs), size=64)
        step(inputs[batch], outputs[batch])
