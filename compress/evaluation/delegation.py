"""What of a TFLite file XNNPACK computes, and what it leaves to the interpreter.

LiteRT hands runs of operators to its delegate for CPUs. Operators that the delegate does not have
run in the interpreter's own, mostly slower kernels, and each of them parts what comes before it
from what comes after.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from baseline.errors import InputError
from baseline.native import quiet_stderr

DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class Delegation:
    """How the main graph of a TFLite file runs on this machine.

    Attributes:
        partitions: runs of operators that XNNPACK takes; one is best.
        inside: operators in them.
        outside: operators by kind that the interpreter runs itself.
    """

    partitions: int
    inside: int
    outside: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def delegation(path: Path) -> Delegation:
    """How LiteRT, one thread, runs a `.tflite` file.

    An interpreter that was made lists the operators of the file and, behind them, one DELEGATE for
    each run that it stands for. What still runs of the former is found from the outputs backwards:
    a tensor that a DELEGATE makes needs nothing but what this one reads.

    Raises:
        InputError: LiteRT cannot run the file.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet_stderr():
            interpreter = Interpreter(str(path), num_threads=1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: TFLite cannot run it ({error}).") from None
    operators = interpreter._get_ops_details()
    # Of an operator and the DELEGATE that stands for it, the latter comes last and stays.
    made_by = {int(tensor): operator for operator in operators for tensor in operator["outputs"]}
    wanted = [int(output["index"]) for output in interpreter.get_output_details()]
    running: dict[int, str] = {}
    while wanted:
        operator = made_by.get(wanted.pop())
        if operator is not None and operator["index"] not in running:
            running[operator["index"]] = operator["op_name"]
            wanted += map(int, operator["inputs"])
    outside = Counter(kind for kind in running.values() if kind != DELEGATE)
    partitions = len(running) - outside.total()
    whole = sum(operator["op_name"] != DELEGATE for operator in operators)
    return Delegation(partitions, whole - outside.total(), dict(outside.most_common()))
