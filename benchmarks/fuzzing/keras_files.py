"""Bad `.keras` and `.h5` files. Those that carry code would leave a file named CANARY behind."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.fuzzing.cases import Arguments, Case, cuts, damaged
from benchmarks.fuzzing.contained import ROOT

KERAS = ROOT / "artifacts/released/student-small.keras"
CANARY = "executed"
"""In the folder of the case."""


@cache
def _parts() -> dict[str, bytes]:
    with zipfile.ZipFile(KERAS) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def _content() -> bytes:
    return KERAS.read_bytes()


def evaluated(folder: Path, content: bytes, name: str = "model.keras") -> Arguments:
    """`compress evaluate`, which opens the model before any record."""
    path = folder / name
    path.write_bytes(content)
    return ["evaluate", path]


def _measured(folder: Path, content: bytes) -> Arguments:
    """`compress evaluate` on two records: what was left whole is loaded by Keras and run."""
    from benchmarks.fuzzing.records import valid_records

    return [*evaluated(folder, content), "--data", valid_records(folder), "--placements", 1]


def _archive(members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def _with(**changed: bytes | None) -> bytes:
    """The valid archive with members (`config`, `weights`, `metadata`) replaced or left out."""
    names = {
        "config": "config.json", "weights": "model.weights.h5", "metadata": "metadata.json"
    }  # fmt: skip
    parts = _parts() | {names[key]: content for key, content in changed.items()}
    return _archive([(name, part) for name, part in parts.items() if part is not None])


def _configured(change: Callable[[dict[str, Any], Path], Any]) -> Callable[[Path], Arguments]:
    def write(folder: Path) -> Arguments:
        config = json.loads(_parts()["config.json"])
        changed = change(config, folder)
        config = config if changed is None else changed
        return evaluated(folder, _with(config=json.dumps(config).encode()))

    return write


def _replaced(**fields: Any) -> Callable[[dict[str, Any], Path], None]:
    """Replaces the second layer by one of other module, class and settings."""

    def change(config: dict[str, Any], folder: Path) -> None:
        layer = config["config"]["layers"][1]
        settings = {"name": layer["config"]["name"], **fields.pop("config", {})}
        layer.update({"registered_name": None, **fields, "config": settings})

    return change


def _setting(**settings: Any) -> Callable[[dict[str, Any], Path], None]:
    def change(config: dict[str, Any], folder: Path) -> None:
        config["config"]["layers"][1]["config"].update(settings)

    return change


def _lambda(config: dict[str, Any], folder: Path) -> None:
    import marshal

    code = compile(f"open({str(folder / CANARY)!r}, 'w')", "<evil>", "eval")
    import codecs

    raw = codecs.encode(marshal.dumps(code), "base64").decode()
    _replaced(
        module="keras.layers",
        class_name="Lambda",
        config={
            "function": {"class_name": "__lambda__", "config": {"value": [raw, None, None]}},
            "arguments": {},
        },
    )(config, folder)


def _writes_a_file(config: dict[str, Any], folder: Path) -> None:
    layer = config["config"]["layers"][1]
    layer.update(
        module="tf_keras.src.layers.core.tf_op_layer",
        class_name="TFOpLambda",
        registered_name="TFOpLambda",
        config={"name": layer["config"]["name"], "function": "io.write_file"},
    )
    layer["inbound_nodes"] = [[str(folder / CANARY), 0, 0, {"contents": "x"}]]


def _imports_a_module(config: dict[str, Any], folder: Path) -> None:
    """Importing `antigravity` opens a browser; any module that is found runs."""
    _replaced(module="antigravity", class_name="Conv1D")(config, folder)


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


CONFIGS: dict[str, Callable[[dict[str, Any], Path], Any]] = {
    "a lambda": _lambda,
    "a function that writes a file": _writes_a_file,
    "a module that is imported": _imports_a_module,
    "os.system as activation": _setting(
        activation={
            "module": "os", "class_name": "function", "config": "system",
            "registered_name": "system",
        }
    ),
    "builtins.eval as activation": _setting(
        activation={
            "module": "builtins", "class_name": "function", "config": "eval",
            "registered_name": "eval",
        }
    ),
    "subprocess.Popen as a layer": _replaced(
        module="subprocess", class_name="Popen", config={"args": ["touch", CANARY]}
    ),
    "a vocabulary in /etc/passwd": _replaced(
        module="keras.layers", class_name="StringLookup", config={"vocabulary": "/etc/passwd"}
    ),
    "a custom object": _replaced(module="mypackage.layers", class_name="Mine",
                                 registered_name="mypackage>Mine"),
    "a lambda inside a setting": _setting(
        kernel_initializer={"class_name": "__lambda__", "config": {"value": ["", None, None]}}
    ),
    "a type": _setting(kernel_initializer={
        "class_name": "__typespec__", "spec_name": "Popen", "module": "subprocess",
        "registered_name": None, "config": []}),
    "an unrolled recurrence": _replaced(
        module="keras.layers", class_name="LSTM", config={"units": 8, "unroll": True}
    ),
    "no model": lambda config, folder: [],
    "text for a model": lambda config, folder: "Functional",
    "a layer in place of a model": lambda config, folder: {
        "module": "os", "class_name": "system", "config": {"command": f"touch {folder / CANARY}"}
    },
    "6000 layers": lambda config, folder: config["config"].update(
        layers=config["config"]["layers"] * 600
    ),
}  # fmt: skip


def _weights(change: Callable[[h5py.File], None], whole: bool = True) -> bytes:
    file = io.BytesIO(_parts()["model.weights.h5"] if whole else b"")
    with h5py.File(file, "r+" if whole else "w") as opened:
        change(opened)
    return file.getvalue()


def _first_weight(file: h5py.File) -> str:
    found: list[str] = []
    file.visititems(lambda name, here: found.append(name) if hasattr(here, "shape") else None)
    return found[0]


def _external_link(file: h5py.File) -> None:
    name = _first_weight(file)
    del file[name]
    file[name] = h5py.ExternalLink("/etc/passwd", "/data")


def _soft_loop(file: h5py.File) -> None:
    file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")


def _external_storage(file: h5py.File) -> None:
    name = _first_weight(file)
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, 10**6)])


def _claims(file: h5py.File) -> None:
    file.create_dataset("more", (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")


def _bomb(file: h5py.File) -> None:
    whole = file.create_dataset("zeros", (2**26,), "f4", chunks=(2**22,), compression="gzip")
    whole[: 2**22] = 0.0
    file.create_dataset("rest", (2**27,), "f4", chunks=(2**22,), compression="gzip")


def _objects(file: h5py.File) -> None:
    file["texts"] = np.array(["x"] * 100, dtype=object)


WEIGHTS: dict[str, Callable[[h5py.File], None]] = {
    "a link to another file": _external_link,
    "links that lead to each other": _soft_loop,
    "weights stored in /etc/passwd": _external_storage,
    "weights of 4 TB": _claims,
    "a compressed bomb": _bomb,
    "texts for weights": _objects,
}


def _archives(folder: Path) -> dict[str, bytes]:
    parts = list(_parts().items())
    link = zipfile.ZipInfo("config.json")
    link.external_attr = 0o120777 << 16

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(folder / CANARY), "w"))

    return {
        "a name that leads out of the archive": _archive(
            [*parts, ("../../../../tmp/evil", b"x")]
        ),
        "an absolute name": _archive([*parts, ("/tmp/evil", b"x")]),
        "a pickle": _archive([*parts, ("optimizer.pkl", pickle.dumps(Evil()))]),
        "a pickle for weights": _with(weights=pickle.dumps(Evil())),
        "weights as .npz with a pickle": _archive(
            [*((n, p) for n, p in parts if not n.endswith("h5")),
             ("model.weights.npz", pickle.dumps(Evil()))]
        ),
        "a bare pickle": pickle.dumps(Evil()),
        "a symbolic link": _archive(
            [(link, b"/etc/passwd"), *((n, p) for n, p in parts if n != "config.json")]
        ),
        "no description": _with(config=None),
        "no weights": _with(weights=None),
        "a zip bomb": _with(config=b" " * 2**28 + _parts()["config.json"]),
        "deep nesting": _with(config=_nested(100_000)),
        "a description in Latin-1": _with(config=b'{"class_name": "\xe9"}'),
        "a number of 100,000 digits": _with(config=b'{"a": ' + b"9" * 100_000 + b"}"),
        "an encrypted archive": _encrypted(),
        "an empty archive": _archive([]),
        "not an archive": b"\x89HDF\r\n\x1a\n" + bytes(1000),
    }  # fmt: skip


def _encrypted() -> bytes:
    """The flag alone: nothing here can be decrypted."""
    content = bytearray(_content())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(signature)
        while start >= 0:
            content[start + place] |= 1
            start = content.find(signature, start + 4)
    return bytes(content)


def _h5(change: Callable[[h5py.File], None]) -> Callable[[Path], Arguments]:
    def write(folder: Path) -> Arguments:
        return evaluated(folder, _weights(change, whole=False), "model.h5")

    return write


def cases() -> Iterator[Case]:
    """See `benchmarks.fuzzing.cases.named`."""
    yield from cuts("keras", evaluated, _content())
    for name, change in CONFIGS.items():
        yield Case("keras", name, _configured(change))
    for name, alter in WEIGHTS.items():
        yield Case(
            "keras", name, lambda folder, a=alter: evaluated(folder, _with(weights=_weights(a)))
        )
    for name in _archives(Path()):
        yield Case("keras", name, lambda folder, n=name: evaluated(folder, _archives(folder)[n]))
    for name, alter in WEIGHTS.items():
        if alter not in (_external_link, _external_storage):
            yield Case("h5", name, _h5(alter))
    yield Case("h5", "a link to another file", _h5(lambda file: file.__setitem__(
        "model_weights", h5py.ExternalLink("/etc/passwd", "/"))))  # fmt: skip
    yield Case("h5", "text", lambda folder: evaluated(folder, b"no HDF5\n" * 99, "model.h5"))
    yield Case("h5", "empty", lambda folder: evaluated(folder, b"", "model.h5"))
    yield from cuts("h5", lambda f, c: evaluated(f, c, "model.h5"), _parts()["model.weights.h5"])


RANDOM: dict[str, Callable[[np.random.Generator, Path], Arguments]] = {
    "keras": lambda random, folder: _measured(folder, damaged(_content(), random)),
    "keras weights": lambda random, folder: _measured(
        folder, _with(weights=damaged(_parts()["model.weights.h5"], random))
    ),
    "keras description": lambda random, folder: _measured(
        folder, _with(config=damaged(_parts()["config.json"], random))
    ),
}
