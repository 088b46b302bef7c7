"""Trained weights: the rebuilt model equals the stored graph, and what does not fit is refused."""

import json
import shutil

import h5py
import numpy as np
import original_code
import pytest

from baseline.errors import InputError
from baseline.weights import load_eqtransformer

PUBLISHED = {"eqt-conservative": 378_311, "eqt-original": 373_495}


@pytest.mark.published
@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_rebuilt_model_equals_the_stored_graph(name, parameters, published, windows):
    path = published(name)
    rebuilt = load_eqtransformer(path)
    assert rebuilt.count_params() == parameters
    expected = original_code.predict(original_code.stored_model(path), windows[:16])
    found = rebuilt(windows[:16], training=False).numpy()
    assert expected.max() > 0.5, "the windows should hold something that is picked"
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.fixture(scope="module")
def narrow(published, tmp_path_factory):
    """An `.h5` as a user's own training with fewer filters leaves it, and its model."""
    config = original_code.narrowed(
        original_code.model_config(published("eqt-original")), (4, 8, 12, 20)
    )
    model = original_code.from_config(config)
    random = np.random.default_rng(0)
    for layer in model.layers:  # BatchNorm statistics and biases as training leaves them
        layer.set_weights(
            [w + 0.1 * np.abs(random.normal(size=w.shape)) for w in layer.get_weights()]
        )
    path = tmp_path_factory.mktemp("own") / "own.h5"
    original_code.save(model, path)
    return path, model


@pytest.mark.published
def test_own_model_with_other_filters_loads(narrow, windows):
    path, model = narrow
    rebuilt = load_eqtransformer(path)
    assert rebuilt.count_params() == model.count_params()
    np.testing.assert_allclose(
        rebuilt(windows[:4], training=False).numpy(),
        original_code.predict(model, windows[:4]),
        atol=1e-5,
    )


def damage(narrow, tmp_path, change):
    """A copy of the user's file, changed."""
    path = tmp_path / "damaged.h5"
    shutil.copy(narrow[0], path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replace(file, layer, weight, values):
    group = file["model_weights"][layer]
    names = [n.decode() if isinstance(n, bytes) else n for n in group.attrs["weight_names"]]
    key = next(name for name in names if weight in name)
    del group[key]
    group[key] = values


def edit_config(file, edit):
    config = json.loads(file.attrs["model_config"])
    edit(config["config"]["layers"])
    file.attrs["model_config"] = json.dumps(config)


def drop(name):
    def edit(layers):
        layers[:] = [layer for layer in layers if layer["config"]["name"] != name]

    return edit


def other_input(layers):
    layers[0]["config"]["batch_input_shape"] = [None, 3000, 3]


def multiplicative(layers):
    for layer in layers:
        if layer["class_name"] == "SeqSelfAttention":
            layer["config"]["attention_type"] = "multiplicative"


DAMAGES = {
    "other shape": (
        lambda file: replace(file, "conv1d_9", "kernel", np.zeros((5, 20, 20))),
        ["'conv1d_9'", "(5, 20, 20)", "(3, 20, 20)"],
    ),
    "not finite": (
        lambda file: replace(file, "conv1d_9", "bias", np.full(20, np.nan)),
        ["'conv1d_9'", "not finite"],
    ),
    "no weights of a layer": (
        lambda file: file["model_weights"].__delitem__("bidirectional_1"),
        ["'bidirectional_1'"],
    ),
    "weights only": (lambda file: file.attrs.__delitem__("model_config"), ["model_config"]),
    "not JSON": (lambda file: file.attrs.modify("model_config", "{"), ["model_config"]),
    "no P attention": (
        lambda file: edit_config(file, drop("attentionP")),
        ["'attentionP' is missing"],
    ),
    "a convolution less": (lambda file: edit_config(file, drop("conv1d_3")), ["convolutions"]),
    "another input": (lambda file: edit_config(file, other_input), ["(3000, 3)"]),
    "another attention": (lambda file: edit_config(file, multiplicative), ["not additive"]),
}


@pytest.mark.published
@pytest.mark.parametrize("what", DAMAGES)
def test_what_does_not_fit_is_named(what, narrow, tmp_path):
    change, expected = DAMAGES[what]
    with pytest.raises(InputError) as caught:
        load_eqtransformer(damage(narrow, tmp_path, change))
    for text in ("damaged.h5", *expected):
        assert text in str(caught.value)


@pytest.mark.published
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(share, narrow, tmp_path):
    content = narrow[0].read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"cut\.h5"):
        load_eqtransformer(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_eqtransformer(tmp_path / "nothing.h5")
