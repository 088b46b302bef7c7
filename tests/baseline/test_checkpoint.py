import json
import zipfile

import numpy as np
import pytest

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.checkpoint import load_keras, save_keras, weights_hash
from baseline.errors import InputError
from baseline.keras import keras


def test_model_comes_back_the_same(tmp_path, windows):
    config = EqtConfig(encoder_filters=(4, 4), encoder_kernels=(3, 3), residual_kernels=(3,))
    small = EqtConfig(**config.model_dump() | {"recurrent_blocks": 0, "recurrent_units": 4})
    head = keras.Input((47, 8))
    from baseline.layers import AdditiveSelfAttention

    attention = keras.Model(head, AdditiveSelfAttention(4, 3)(head))
    save_keras(attention, tmp_path / "attention.keras")
    x = np.random.default_rng(0).normal(size=(2, 47, 8)).astype(np.float32)
    np.testing.assert_array_equal(
        load_keras(tmp_path / "attention.keras")(x), attention(x)
    )  # the custom layer, with its width
    model = build_eqtransformer(small)
    save_keras(model, tmp_path / "model.keras")
    restored = load_keras(tmp_path / "model.keras")
    assert [layer.name for layer in restored.layers] == [layer.name for layer in model.layers]
    for mine, theirs in zip(restored.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_have_a_hash_of_their_own(tmp_path):
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(3)(keras.layers.Dense(4)(x)))
    save_keras(model, tmp_path / "model.keras")
    assert weights_hash(load_keras(tmp_path / "model.keras")) == weights_hash(model)
    known = {weights_hash(model)}
    kernel, *rest = model.get_weights()
    for other in (kernel.T, np.where(kernel == kernel.max(), kernel + 1e-6, kernel)):
        model.set_weights([other, *rest])
        known.add(weights_hash(model))
    assert len(known) == 3


def test_layer_that_carries_code_is_refused(tmp_path):
    x = keras.Input((6000, 3))
    model = keras.Model(x, keras.layers.Lambda(lambda v: v * 2)(x))
    save_keras(model, tmp_path / "lambda.keras")
    with pytest.raises(InputError, match=r"lambda\.keras"):
        load_keras(tmp_path / "lambda.keras")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 half"])
def test_what_is_no_keras_file_is_refused(content, tmp_path):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(InputError, match="not a whole"):
        load_keras(tmp_path / "model.keras")
    with pytest.raises(InputError, match="no such file"):
        load_keras(tmp_path / "nothing.keras")


def altered(path, change):
    """The same `.keras` file with another description."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config["config"]["layers"][1]["config"])
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"filters": 10**8}, "describes a model with more than"),
        ({"kernel_size": [10**9]}, "describes a model with more than"),
        ({"filters": -1}, "cannot be loaded"),
        ({"filters": 7}, "cannot be loaded"),
        ({"filters": "many"}, "cannot be loaded"),
        ({"activation": "no such one"}, "cannot be loaded"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change, said, tmp_path):
    x = keras.Input((6000, 3))
    model = keras.Model(x, keras.layers.Conv1D(3, 3, padding="same")(x))
    save_keras(model, tmp_path / "model.keras")
    altered(tmp_path / "model.keras", lambda config: config.update(change))
    with pytest.raises(InputError, match=said):
        load_keras(tmp_path / "model.keras")


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    x = keras.Input((6000, 3))
    model = keras.Model(x, keras.layers.Conv1D(3, 3, padding="same")(x))
    model.set_weights([w * np.nan for w in model.get_weights()])
    save_keras(model, tmp_path / "model.keras")
    with pytest.raises(InputError, match="not finite"):
        load_keras(tmp_path / "model.keras")
