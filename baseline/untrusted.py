"""What a model file may hold before Keras or h5py is let at it: weights and known layers, no more.

A `.keras` file names the classes and functions that rebuild it, and Keras imports whatever module
stands there; its safe mode only refuses lambdas. HDF5 files may point at other files of the machine
and claim arrays that are larger than any memory. Here all that is refused before anything is built.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from baseline.errors import InputError, pass_interrupt

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
MEMBERS = {"metadata.json": 2**16, CONFIG: 2**22, WEIGHTS: 2**28}
"""What a `.keras` file holds, and the most bytes that each member may have when unpacked."""

MAXIMUM_WEIGHT_BYTES = 2**28
"""Of all weights of a model; EQTransformer has 1.5 MB."""

MAXIMUM_OBJECTS = 5000
"""Layers, initializers and the like that a model may be made of; EQTransformer has some 400."""

LAYERS = frozenset(
    [
        "Activation",
        "ActivityRegularization",
        "Add",
        "AdditiveAttention",
        "AlphaDropout",
        "Attention",
        "Average",
        "AveragePooling1D",
        "BatchNormalization",
        "Bidirectional",
        "Concatenate",
        "Conv1D",
        "Conv1DTranspose",
        "Cropping1D",
        "Dense",
        "DepthwiseConv1D",
        "Dot",
        "Dropout",
        "ELU",
        "Flatten",
        "GRU",
        "GRUCell",
        "GaussianDropout",
        "GaussianNoise",
        "GlobalAveragePooling1D",
        "GlobalMaxPooling1D",
        "InputLayer",
        "LSTM",
        "LSTMCell",
        "LayerNormalization",
        "LeakyReLU",
        "LocallyConnected1D",
        "Masking",
        "MaxPooling1D",
        "Maximum",
        "Minimum",
        "MultiHeadAttention",
        "Multiply",
        "PReLU",
        "Permute",
        "RNN",
        "ReLU",
        "RepeatVector",
        "Reshape",
        "SeparableConv1D",
        "SimpleRNN",
        "SimpleRNNCell",
        "Softmax",
        "SpatialDropout1D",
        "Subtract",
        "TimeDistributed",
        "UpSampling1D",
        "ZeroPadding1D",
    ]
)
"""Layers of Keras that compute with what they are given alone.

Others run code (Lambda) or read files (StringLookup)."""

FUNCTION_LAYER = ("tf_keras.src.layers.core.tf_op_layer", "TFOpLambda")
FUNCTIONS = ("math.", "nn.", "__operators__.")
"""Of TensorFlow, which a model may call by name: those that compute. Others write files."""

MODELS = {
    ("tf_keras.src.engine.functional", "Functional"),
    ("keras.src.engine.functional", "Functional"),
    ("keras", "Functional"),
    ("keras", "Model"),
    ("keras", "Sequential"),
}
HARMLESS_MODULES = ("keras.initializers", "keras.regularizers", "keras.constraints")
POLICY = ("keras.mixed_precision", "Policy")
OWN_LAYERS = frozenset(
    f"eqt_compress>{name}"
    for name in (
        "AdditiveSelfAttention",
        "BandedSelfAttention",
        "EdgeCorrection1D",
        "Saturation",
    )
)


def require_harmless_keras(path: Path) -> None:
    """See that a `.keras` file holds weights and layers that only compute.

    Raises:
        InputError: another archive, members beyond those of Keras or too large ones, classes that
            are not known to be harmless, weights that are links or no plain numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _require_members(path, archive)
            config = json.loads(archive.read(CONFIG))
            weights = archive.read(WEIGHTS)
    except InputError:
        raise
    except Exception as error:  # whatever zipfile, zlib and json make of a damaged file
        pass_interrupt(error)
        raise InputError(f"{path}: not a whole `.keras` file ({_short(error)}).") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: its {CONFIG} holds no model.")
    # How training went on is not read (`compile=False`).
    _require_harmless_classes(path, {k: v for k, v in config.items() if k != "compile_config"})
    try:
        with h5py.File(io.BytesIO(weights), "r") as file:
            _read_all(path, file)
    except InputError:
        raise
    except Exception as error:  # h5py raises nearly everything
        pass_interrupt(error)
        raise InputError(f"{path}: its {WEIGHTS} cannot be read ({_short(error)}).") from None


def _require_members(path: Path, archive: zipfile.ZipFile) -> None:
    found = archive.infolist()
    names = [member.filename for member in found]
    if sorted(names) != sorted(MEMBERS):
        shown = ", ".join(repr(name[:60]) for name in names[:5])
        raise InputError(
            f"{path}: not a model as Keras 2 writes it: it holds {shown or 'nothing'}"
            f"{' and more' if len(names) > 5 else ''}.",
            f"Expected {', '.join(MEMBERS)}.",
        )
    for member in found:
        if member.file_size > MEMBERS[member.filename]:
            raise InputError(
                f"{path}: its {member.filename} would unpack to {member.file_size:,} bytes; "
                f"{MEMBERS[member.filename]:,} at most are read."
            )


def _require_harmless_classes(path: Path, config: Any) -> None:
    """Walk the description of a model, without recursion: it may be nested as deep as it likes."""
    objects = 0
    rest = [config]
    while rest:
        here = rest.pop()
        if isinstance(here, list):
            rest += here
        elif isinstance(here, dict):
            rest += here.values()
            if "class_name" in here:
                objects += 1
                _require_harmless(path, here)
            if here.get("unroll"):
                raise InputError(f"{path}: unrolls a recurrence, which is left to the exports.")
    if objects > MAXIMUM_OBJECTS:
        raise InputError(f"{path}: describes {objects:,} layers and the like, too many.")


def _require_harmless(path: Path, described: dict[str, Any]) -> None:
    name, module = described["class_name"], described.get("module")
    known = (
        (module == "keras.layers" and name in LAYERS)
        or module in HARMLESS_MODULES
        or (module, name) in MODELS
        or (module, name) == POLICY
        or described.get("registered_name") in OWN_LAYERS
        or ((module, name) == FUNCTION_LAYER and _only_computes(described.get("config")))
    )
    if not known:
        raise InputError(
            f"{path}: holds a {str(name)[:60]!r} of {str(module)[:60]!r}, which may execute what "
            "is in the file, so it is not loaded.",
            "Models of Keras' own layers that only compute can be loaded.",
        )


def _only_computes(config: Any) -> bool:
    function = config.get("function") if isinstance(config, dict) else None
    return isinstance(function, str) and function.startswith(FUNCTIONS)


def require_readable_weights(path: Path) -> None:
    """See that the weights in an HDF5 file are whole; they are read.

    Raises:
        InputError: as `require_own_contents`, or the file is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            _read_all(path, file)
    except InputError:
        raise
    except Exception as error:  # h5py raises nearly everything
        pass_interrupt(error)
        raise InputError(
            f"{path}: not a readable HDF5 file ({_short(error)}).",
            "It may be cut short: compare its size with that of the original.",
        ) from None


def _read_all(path: Path, file: h5py.File) -> None:
    for found in [file, *require_own_contents(path, file)]:
        for attribute in found.attrs:
            found.attrs[attribute]
        if isinstance(found, h5py.Dataset):
            found[()]


def require_own_contents(path: Path, file: h5py.File) -> list[h5py.Group | h5py.Dataset]:
    """See that everything in an HDF5 file of weights is stored in it, as it is.

    Links to other places, virtual and external datasets would read other files of the machine;
    compressed or never written ones can claim more than there is.

    Returns:
        All groups and datasets.

    Raises:
        InputError: something else, or more than `MAXIMUM_WEIGHT_BYTES`.
    """
    links: list[tuple[str, Any]] = []
    file.visititems_links(lambda name, link: links.append((str(name), link)))
    total = 0
    objects = []
    for name, link in links:
        where = f"{path}: {name[:100]}"
        if not isinstance(link, h5py.HardLink):
            raise InputError(f"{where} is a link and not stored in the file itself.")
        found = file[name]
        objects.append(found)
        if not isinstance(found, h5py.Dataset):
            continue
        if found.is_virtual or found.external:
            raise InputError(f"{where} is not stored in the file itself.")
        if found.dtype.kind not in "iufbSO" or (found.dtype.kind == "O" and found.size > 1):
            raise InputError(f"{where} holds {found.dtype}, not numbers.")
        chunk = math.prod(found.chunks or (0,)) * found.dtype.itemsize
        total += max(found.nbytes, chunk)
        if total > MAXIMUM_WEIGHT_BYTES:
            raise InputError(f"{path}: claims more than {MAXIMUM_WEIGHT_BYTES:,} bytes of weights.")
    return objects


@contextmanager
def bounded_weights(path: Path) -> Iterator[None]:
    """While a model is built from a file, refuse weights larger than any picker's, unmade.

    Raises:
        InputError: they come to more than `MAXIMUM_WEIGHT_BYTES`.
    """
    from baseline.keras import tf

    total = 0

    def counted(make: Any, **settings: Any) -> Any:
        nonlocal total
        shape = tf.TensorShape(settings.get("shape"))
        if shape.is_fully_defined():
            total += 4 * math.prod(shape.as_list())
        if total > MAXIMUM_WEIGHT_BYTES:
            raise InputError(
                f"{path}: describes a model with more than {MAXIMUM_WEIGHT_BYTES:,} bytes of "
                "weights."
            )
        return make(**settings)

    with tf.variable_creator_scope(counted):
        yield


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
