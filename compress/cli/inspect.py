"""`compress inspect`: what an exported model is made of."""

from __future__ import annotations

from typing import Annotated

from compress.cli.console import console, write_document
from compress.cli.options import JsonFile, model_argument

EXAMPLES = (
    "compress inspect artifacts/released/student-tflite-int8",
    "compress inspect model.onnx --json operators.json",
)


def inspect_model(
    model: Annotated[
        str,
        model_argument("A .tflite or .onnx file, a bundle, or a stage."),
    ],
    json_file: JsonFile = None,
) -> None:
    """Show what an exported model is made of: operators, what they compute in, loops, bytes."""
    from compress.evaluation.delegation import delegation
    from compress.evaluation.inspection import inspect
    from compress.models import find
    from compress.report.inspection import show_inspection

    path = find(model).path
    found = inspect(path)
    delegated = delegation(path) if path.suffix == ".tflite" else None
    document = {"model": model, "delegation": delegated and delegated.to_dict()}
    write_document(json_file, document | found.to_dict())
    show_inspection(console, model, found, delegated)
