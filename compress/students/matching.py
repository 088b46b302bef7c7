"""Make a student's inner answers resemble its teacher's, where both stand for the same thing.

Two losses, after which the student's own weights carry on what they brought about:

- features (Romero et al. 2015, "FitNets: hints for thin deep nets", ICLR): the squared difference
  between the teacher's features and a projection of the student's, a convolution of width 1 that
  learns along and is thrown away;
- attention (Zagoruyko and Komodakis 2017, "Paying more attention to attention", ICLR, eq. 2): the
  squared difference between *where* both are active: squared features summed over channels,
  normalised over the window. It has no parameters.

Places are found by the names that baseline.architecture gives. What simplify, substitute, scale and
prune put there keeps the start of the name, so their models teach as well as published ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence

from baseline.errors import InputError
from baseline.keras import keras, tf
from compress.training.twin import twin_of

PLACE = re.compile(
    r"encoder_\d+|residual_\d+|recurrent_\d+|transformer_\d+|[ps]_recurrent|[ps]_attention"
    r"|(?:detection|p|s)_decoder_\d+"
)
"""The start of a layer's name that says where it stands."""

STACKS = ("residual", "recurrent", "transformer")
"""Blocks of which a student may have fewer, with the same number of steps in all."""

SMALLEST = 1e-12
"""Keeps a window in which nothing is active from dividing by zero."""


def matching_layers(student: keras.Model, teacher: keras.Model) -> list[tuple[str, str]]:
    """Names of layers whose outputs say the same thing of the same steps, student's first.

    Levels of encoder and decoders, and what stands before the decoders, correspond by number; of
    the residual, recurrent and transformer blocks, where a student may have fewer, its last
    corresponds to the teacher's last and the others to those at the same share of the way.

    Returns:
        Pairs in the student's order; none where the two have nothing in common.
    """
    ours, theirs = _places(student), _places(teacher)
    pairs = []
    for place, name in ours.items():
        other = theirs.get(_corresponding(place, ours, theirs))
        if other and _steps(student, name) == _steps(teacher, other):
            pairs.append((name, other))
    return pairs


class Matching:
    """The loss between matching layers, with the projections that it needs.

    Args:
        student: the model in training; its prediction comes out of `loss` too, so that its layers
            are computed once.
        teacher: any EQTransformer; it answers as in prediction and is not trained.
        features: weight of the features' loss.
        attention: weight of the attention's loss.

    Raises:
        InputError: the two have no matching layers, or both weights are zero.
    """

    def __init__(
        self, student: keras.Model, teacher: keras.Model, features: float, attention: float
    ) -> None:
        if not features and not attention:
            raise InputError("matching: the weights of features and attention are both zero.")
        pairs = matching_layers(student, teacher)
        if not pairs:
            raise InputError(
                f"matching: student {student.name} and teacher {teacher.name} have no layers that "
                "correspond, so their features cannot be compared.",
                "It needs a student of kind eqt and an EQTransformer as its teacher; leave "
                "matching out for others.",
            )
        teacher = twin_of(teacher)
        teacher.trainable = False
        self._weights = features, attention
        self._student = _with_features(student, [ours for ours, _ in pairs])
        self._teacher = _with_features(teacher, [theirs for _, theirs in pairs])
        self.projections = [
            _projection(student.get_layer(ours), teacher.get_layer(theirs))
            for ours, theirs in (pairs if features else [])
        ]
        """Layers that learn along: part of a checkpoint, and not of the student."""

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        """Those of the projections; the student's are not among them."""
        return [v for layer in self.projections for v in layer.trainable_variables]

    def loss(self, windows: tf.Tensor, training: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
        """The student's prediction and how far its features are from the teacher's.

        Args:
            windows: (batch, 6000, 3).
            training: whether the student answers as in training.

        Returns:
            Prediction (batch, 6000, 3) and the weighted sum of both losses, a scalar. Each is a
            mean over pairs of layers: of the error of features relative to the teacher's mean
            square (1 for a projection to zero), and of the squared distance of two maps of length
            one (0 to 2). Neither depends on a layer's scale or number of steps.
        """
        features, attention = self._weights
        prediction, *ours = self._student(windows, training=training)
        ours = [tf.cast(x, tf.float32) for x in ours]  # 16 bits in mixed precision
        theirs = [tf.stop_gradient(x) for x in self._teacher(windows, training=False)[1:]]
        loss = tf.zeros(())
        if features:
            projected = [layer(x) for layer, x in zip(self.projections, ours, strict=True)]
            loss += features * _mean(_feature_error, projected, theirs)
        if attention:
            loss += attention * _mean(_attention_distance, ours, theirs)
        return prediction, loss


def _places(model: keras.Model) -> dict[str, str]:
    """By place, the name of the last layer there."""
    found = ((PLACE.match(layer.name), layer.name) for layer in model.layers)
    return {match[0]: name for match, name in found if match}


def _corresponding(place: str, ours: Collection[str], theirs: Collection[str]) -> str:
    """The place among `theirs` that does what `place` does among `ours`, or ""."""
    stack = place.split("_")[0]
    if stack not in STACKS:
        return place if place in theirs else ""
    own, other = (
        sorted((p for p in places if p.startswith(f"{stack}_")), key=lambda p: int(p.split("_")[1]))
        for places in (ours, theirs)
    )
    done = math.ceil((own.index(place) + 1) * len(other) / len(own))
    return other[done - 1] if other else ""


def _steps(model: keras.Model, name: str) -> int:
    return int(model.get_layer(name).output_shape[1])


def _with_features(model: keras.Model, names: Sequence[str]) -> keras.Model:
    """The same layers, whose outputs are returned behind the prediction."""
    features = [model.get_layer(name).output for name in names]
    return keras.Model(model.inputs, [model.outputs[0], *features])


def _projection(ours: keras.layers.Layer, theirs: keras.layers.Layer) -> keras.layers.Layer:
    layer = keras.layers.Conv1D(int(theirs.output_shape[-1]), 1, name=f"match_{ours.name}")
    layer.build(ours.output_shape)
    return layer


def _mean(
    distance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    ours: Sequence[tf.Tensor],
    theirs: Sequence[tf.Tensor],
) -> tf.Tensor:
    return tf.add_n([distance(a, b) for a, b in zip(ours, theirs, strict=True)]) / len(ours)


def _feature_error(ours: tf.Tensor, theirs: tf.Tensor) -> tf.Tensor:
    error = tf.reduce_mean(tf.square(ours - theirs))
    return error / (tf.reduce_mean(tf.square(theirs)) + SMALLEST)


def _attention_distance(ours: tf.Tensor, theirs: tf.Tensor) -> tf.Tensor:
    maps = [
        tf.math.l2_normalize(tf.reduce_sum(tf.square(x), axis=-1), axis=-1, epsilon=SMALLEST)
        for x in (ours, theirs)
    ]
    return tf.reduce_mean(tf.reduce_sum(tf.square(maps[0] - maps[1]), axis=-1))
