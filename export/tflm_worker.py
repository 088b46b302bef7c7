"""The process in which TFLite Micro runs a model once and tells what memory it took.

    python tflm_worker.py MODEL ARENA_BYTES

It tells on standard error. Started by export.arena; imports nothing of this project.
"""

from __future__ import annotations

import sys

import numpy as np
from tflite_micro import runtime


def main(model: str, arena: str) -> None:
    """Run the `.tflite` file on zeros."""
    interpreter = runtime.Interpreter.from_file(model, arena_size=int(arena))
    details = interpreter.get_input_details(0)
    interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    main(*sys.argv[1:])
