"""What `compress inspect` prints."""

from __future__ import annotations

from collections import defaultdict

from rich.console import Console
from rich.table import Table

from compress.evaluation.delegation import Delegation
from compress.evaluation.inspection import CONVERSIONS, Inspection, Operator

LISTED = 12
"""Operators in float that are listed one by one; of more the rest is counted."""


def show_inspection(
    console: Console, name: str, found: Inspection, delegated: Delegation | None
) -> None:
    """A row for each kind of operator and precision, the largest first, and what to look at.

    `delegated` is how a TFLite file runs.
    """
    groups: dict[tuple[str, str], list[Operator]] = defaultdict(list)
    for operator in found.operators:
        groups[operator.kind, operator.precision].append(operator)
    constants = sum(operator.bytes for operator in found.operators)
    table = Table(
        title=f"{name}: {found.bytes:,} bytes, {len(found.operators)} operators",
        caption=f"Constants take {constants:,} bytes, all else {found.bytes - constants:,}.",
        caption_justify="left",
    )
    table.add_column("operator", overflow="fold")
    table.add_column("computes in", overflow="fold")
    table.add_column("number", justify="right")
    table.add_column("constants, bytes", justify="right")
    for (kind, precision), operators in sorted(
        groups.items(), key=lambda group: (-sum(o.bytes for o in group[1]), group[0])
    ):
        weight = sum(operator.bytes for operator in operators)
        table.add_row(kind, precision, f"{len(operators)}", f"{weight:,}")
    console.print(table)
    lines = findings(found)
    if delegated is not None:
        lines.append(delegation_finding(delegated))
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def findings(found: Inspection) -> list[str]:
    """What somebody who deploys the file should know, a sentence each."""
    lines = []
    if found.loops:
        names = _listed(found.loops)
        lines.append(f"Loops: {names}. Each runs its body once a step, at the cost of a call.")
    else:
        lines.append("No loops.")
    integers = found.computing_in("int8", "int16")
    floats = found.computing_in("float32", "float16", "hybrid")
    hybrid = found.computing_in("hybrid")
    if hybrid:
        lines.append(f"{len(hybrid)} operators have int8 weights and float activations.")
    if not integers:
        lines.append("Nothing computes in integers alone: a float model.")
    elif not floats:
        lines.append("Everything that computes does so in integers.")
    else:
        lines.append(f"{len(floats)} of {len(integers) + len(floats)} operators that compute do so "
                     f"in float: {_listed(floats)}.")  # fmt: skip
    conversions = sum(operator.kind in CONVERSIONS for operator in found.operators)
    if found.file.endswith(".tflite") and conversions > 2:
        lines.append(f"{conversions} operators convert between integers and floats; 2 are enough.")
    return lines


def delegation_finding(delegated: Delegation) -> str:
    """What XNNPACK leaves to the interpreter, as a sentence."""
    if not delegated.outside:
        return f"XNNPACK computes everything, in {_partitions(delegated)}."
    kinds = ", ".join(f"{number} {kind}" for kind, number in delegated.outside.items())
    number = sum(delegated.outside.values())
    return (
        f"XNNPACK computes {delegated.inside} operators, in {_partitions(delegated)}; "
        f"{number} run outside it: {kinds}."
    )


def _partitions(delegated: Delegation) -> str:
    return f"{delegated.partitions} partition{'s' * (delegated.partitions != 1)}"


def _listed(operators: tuple[Operator, ...]) -> str:
    named = [f"{o.kind} {o.name}".strip() for o in operators[:LISTED]]
    rest = len(operators) - LISTED
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")
