"""The extra `train`: packages that building, training and converting models takes.

Whoever only runs, checks and measures exported models does without them; see docs/dependencies.md.
"""

from __future__ import annotations

from importlib.util import find_spec

from baseline.errors import InputError

TRAIN = (
    "tensorflow",
    "tf_keras",
    "tensorflow_model_optimization",
    "tf2onnx",
    "sympy",
    "optuna",
    "sqlalchemy",
)
"""Modules of the extra, as they are imported."""


def require_train(*modules: str) -> None:
    """See that modules of the extra `train` can be imported, without importing them.

    Args:
        modules: those that are needed; all of them where none is named.

    Raises:
        InputError: some are not installed.
    """
    missing = [module for module in modules or TRAIN if find_spec(module) is None]
    if missing:
        raise InputError(
            f"Building, training and converting models needs {', '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed.",
            "Install what is missing with pip install 'eqt-compress[train]'. Exported models "
            "(.tflite and .onnx files, bundles) run without.",
        )
