"""What `compress compare` prints, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compress.report.summary import escaped
from compress.report.table import interval

LISTED = 5
"""Names of records that are listed where they are not the matter; of more the rest is counted."""

VALUE_CHARACTERS = 200
"""Longest value of a setting that is shown whole; JSON holds them all."""

UNBROKEN, UNBROKEN_FIRST = 13, 40
"""Longest lines of columns, and of the first column, that are kept whole in a narrow terminal."""

FEW_RECORDS = 20
"""With fewer, an interval is narrower than what is known."""

_SIDES = ("reference", "candidate")

Document = dict[str, Any]


@dataclass(frozen=True)
class _Section:
    """A table, or nothing but what there is to say."""

    title: str
    headings: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    notes: Sequence[str] = ()


def show_comparison(console: Console, document: Document, top: int) -> None:
    """Print a comparison as tables.

    Args:
        console: where.
        document: of `compress.comparing.compare`.
        top: records listed of those that came out better, worse, or mixed.
    """
    _show(console, _overview(document))
    for comparison in document["comparisons"]:
        console.print()
        console.rule(_title(comparison))
        for section in _sections(comparison, top):
            console.print()
            _show(console, section)


def comparison_summary(document: Document, top: int) -> str:
    """A comparison in Markdown; the arguments are those of `show_comparison`."""
    parts = ["## Comparison", *_markdown(_overview(document))]
    for comparison in document["comparisons"]:
        parts.append(f"### {_title(comparison)}")
        for section in _sections(comparison, top):
            parts += [f"#### {section.title}", *_markdown(section)]
    return "\n\n".join(parts) + "\n"


def _show(console: Console, section: _Section) -> None:
    if section.rows:
        table = Table(title=section.title, title_justify="left", title_style="bold")
        table.box, table.padding = box.SIMPLE_HEAD, (0, 1, 0, 0)
        for index, heading in enumerate(section.headings):
            # Rich breaks words before it makes room for them: only long columns may be broken.
            lines = "\n".join([heading, *(row[index] for row in section.rows)]).split("\n")
            whole = max(map(cell_len, lines)) <= (UNBROKEN if index else UNBROKEN_FIRST)
            table.add_column(heading, overflow="fold", no_wrap=whole)
        for row in section.rows:
            table.add_row(*map(Text, row))
        console.print(table)
    else:
        console.print(section.title, style="bold", highlight=False)
    for note in section.notes:
        console.print(note, markup=False, highlight=False)


def _markdown(section: _Section) -> list[str]:
    parts = []
    if section.rows:
        lines = [section.headings, ("---",) * len(section.headings)]
        lines += [tuple(map(escaped, row)) for row in section.rows]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return parts + [escaped(note) for note in section.notes]


def _title(comparison: Document) -> str:
    return f"{comparison['candidate']} against {comparison['reference']}"


def _overview(document: Document) -> _Section:
    """Which model is which, a row for each."""
    rows, notes = [], []
    for letter, model in document["models"].items():
        cost, metrics = model["cost"], model["metrics"]
        rows.append(
            (
                letter,
                _thousands(cost.get("parameters"), "k"),
                _thousands(cost.get("bytes"), "kB"),
                *(interval(metrics[m]) for m in ("p_f1_0.5s", "s_f1_0.5s", "detection_f1")),
            )
        )
        notes.append(
            f"{letter}: {model['argument']}: {model['name']}, {model['records']:,} records."
        )
    headings = ("", "parameters", "file", "P F1", "S F1", "detection F1")
    return _Section("Models", headings, rows, notes)


def _thousands(number: float | None, unit: str) -> str:
    return "-" if number is None else f"{number / 1e3:,.1f} {unit}"


def _sections(comparison: Document, top: int) -> list[_Section]:
    letters = (comparison["reference"], comparison["candidate"])
    sections = [
        _configuration(comparison["configuration"], letters),
        _origins(comparison, letters),
        _metrics(comparison["accuracy"], letters),
        _cost(comparison["cost"], comparison["latency"], letters),
    ]
    if comparison["stages"]:
        sections.append(_stages(comparison["stages"], letters))
        sections.append(_gates(comparison["gates"], letters))
    sections.append(_records(comparison["records"], letters, top))
    notes = comparison["notes"]
    return [*([_Section("Mind", notes=notes)] if notes else []), *sections]


def _configuration(changes: list[Document] | None, letters: tuple[str, str]) -> _Section:
    if changes is None:
        return _Section("Configuration", notes=["Not compared: not both come from runs."])
    if not changes:
        return _Section("Configuration", notes=["No difference."])
    rows = []
    for change in changes:
        sides = [change["reference"], change["candidate"]]
        places = [side["place"] for side in sides if side]
        rows.append((_both(places), *("-" if x is None else _value(x["value"]) for x in sides)))
    notes = []
    if any("/" in row[0] for row in rows):
        notes = [f"x / y: x in {letters[0]}, y in {letters[1]}."]
    return _Section("Configuration", ("place", *letters), rows, notes)


def _both(names: list[str]) -> str:
    """What it is called in the two, once if that is the same."""
    return " /\n".join(dict.fromkeys(names))


def _value(value: Any) -> str:
    """As it would stand in a pipeline file, on one line; of an object what is set, plain first."""
    if isinstance(value, dict):
        given = ((key, item) for key, item in value.items() if item not in (None, [], {}))
        value = dict(sorted(given, key=lambda item: isinstance(item[1], dict | list)))
    text = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=float("inf"))
    text = text.strip()[1:-1]
    return text if len(text) <= VALUE_CHARACTERS else f"{text[:VALUE_CHARACTERS]}..."


def _origins(comparison: Document, letters: tuple[str, str]) -> _Section:
    """Data, baseline, program and packages: rows for what differs, a sentence for the rest."""
    data, baseline = comparison["data"], comparison["baseline"]
    two = {f"data: {name}": prints for name, prints in data["sets"].items()}
    if baseline:
        named = {side: f"{one['name']} {one['sha256'][:12]}" for side, one in baseline.items()}
        two["baseline"] = named
    if comparison["code"]:
        two["this program's code"] = {
            side: code or "not known" for side, code in comparison["code"].items()
        }
    same = [what for what, sides in two.items() if sides["reference"] == sides["candidate"]]
    versions = {
        package: {side: version or "-" for side, version in sides.items()}
        for package, sides in comparison["versions"].items()
    }
    rows = [
        (what, *(sides[side] if what == "baseline" else sides[side][:12] for side in _SIDES))
        for what, sides in (two | versions).items()
        if what not in same
    ]
    notes = []
    if same or not versions:
        unchanged = [*same, *([] if versions else ["versions of packages"])]
        notes.append(f"The same: {', '.join(unchanged)}.")
    if data["added"] or data["removed"]:
        notes.append(f"Records measured in both: {data['common_records']:,}.")
    for names, letter in ((data["removed"], letters[0]), (data["added"], letters[1])):
        if names:
            notes.append(f"Only in {letter}: {len(names):,} ({_listed(names)}).")
    return _Section("Data, baseline and versions", ("", *letters), rows, notes)


def _listed(names: list[str]) -> str:
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest:,} more" if rest > 0 else "")


def _metrics(accuracy: Document, letters: tuple[str, str]) -> _Section:
    """A row for each metric that differs or that only one model has."""
    rows = []
    for name, metric in accuracy["metrics"].items():
        values, difference = [metric[side] for side in _SIDES], metric["difference"]
        nothing = difference["lower"] == difference["upper"] == 0.0
        if nothing or all(value["point"] is None for value in values):
            continue
        # Where models are compared in pairs, the intervals of each alone would only mislead.
        alone = map(_point if accuracy["paired"] else interval, values)
        rows.append((name, *alone, _difference(difference), _verdict(metric)))
    equal = sum(
        metric["difference"]["lower"] == metric["difference"]["upper"] == 0.0
        for metric in accuracy["metrics"].values()
    )
    notes = [accuracy["reason"]]
    if equal:
        notes.append(f"Exactly the same in every draw: {equal} of {accuracy['measured']} metrics.")
    if rows:
        notes.append(
            f"{accuracy['excluding_zero']} of {accuracy['measured']} differences have a 95 % "
            f"interval without zero (better, worse, shifted). If nothing differed, about "
            f"{accuracy['by_chance']:.1f} would, and several at once, since metrics hang together. "
            f"{accuracy['holm']} remain when all are judged at once (*, Holm's method)."
        )
    headings = ("metric", *letters, _less(letters), "")
    return _Section("Accuracy", headings, rows, notes)


def _point(value: Document) -> str:
    return "-" if value["point"] is None else f"{value['point']:.3f}"


def _verdict(metric: Document) -> str:
    """better, worse or shifted, and how far to trust that."""
    if not metric["change"]:
        return ""
    few = f" ({metric['records']} records)" if metric["records"] < FEW_RECORDS else ""
    return f"{metric['change']}{'*' * metric['holm']}{few}"


def _less(letters: tuple[str, str]) -> str:
    return f"{letters[1]} - {letters[0]}"


def _difference(difference: Document) -> str:
    """As `interval`, with signs; 0 where no draw differs."""
    if difference["point"] is None:
        return "-"
    if difference["lower"] == difference["upper"] == 0.0:
        return "0"
    return f"{difference['point']:+.3f} ({difference['lower']:+.3f} to {difference['upper']:+.3f})"


def _cost(cost: Document, latency: Document, letters: tuple[str, str]) -> _Section:
    rows = []
    for measure, values in cost.items():
        sides = ("-" if values[side] is None else f"{values[side]:,.0f}" for side in _SIDES)
        rows.append((measure.replace("_", " "), *sides, _ratio(values)))
    timed = [latency[side] for side in _SIDES]
    notes = list(latency["warnings"])
    if any(timed):
        rows.append(("time / own baseline's", *map(_time, timed), ""))
        notes.append(
            "Each was timed in its own run against the baseline there: that gives no ratio of the "
            "two. `compress bench` times models against each other."
        )
    return _Section("Cost", ("", *letters, " / ".join(reversed(letters))), rows, notes)


def _ratio(values: Document) -> str:
    return "-" if values["ratio"] is None else f"{values['ratio']:.3f}"


def _time(latency: Document | None) -> str:
    if latency is None:
        return "-"
    return "{ratio:.3f} ({lower:.3f}-{upper:.3f})".format(**latency)


def _stages(stages: Document, letters: tuple[str, str]) -> _Section:
    rows = []
    for pair in stages["pairs"]:
        labels = [pair[side] + " (skipped)" * pair["skipped"][side] for side in _SIDES]
        costs = (_ratio(pair["cost"][measure]) for measure in ("multiply_adds", "bytes"))
        rows.append((_both(labels), *costs, *map(_difference, pair["metrics"].values())))
    notes = [f"Costs as {' / '.join(reversed(letters))}, F1 as {_less(letters)}."]
    for alone, letter in ((stages["removed"], letters[0]), (stages["added"], letters[1])):
        if alone:
            notes.append(f"Only in {letter}: {', '.join(alone)}.")
    headings = ("stage", "multiply-adds", "file", "P F1", "S F1", "detection F1")
    return _Section("Stages that both runs have", headings, rows, notes)


def _gates(gates: list[Document], letters: tuple[str, str]) -> _Section:
    title = "Gates that came out differently"
    if not gates:
        return _Section(title, notes=["None."])
    rows = [
        (
            _both([gate["stage"][side] for side in _SIDES]),
            _both([rule for side in _SIDES for rule in gate["rules"][side]]),
            *(", ".join(gate[side]) or "no such rule" for side in _SIDES),
        )
        for gate in gates
    ]
    return _Section(title, ("stage", "rule", *letters), rows)


def _records(records: Document | None, letters: tuple[str, str], top: int) -> _Section:
    """The records that changed most, first the worse ones."""
    if records is None:
        return _Section("Records", notes=["Not compared one by one: the windows are not the same."])
    kinds = ("worse", "better", "mixed")
    numbers = ", ".join(f"{len(records[kind]):,} {kind}" for kind in kinds)
    rows = [
        (row["record"], kind, f"{row['net']:+d}", _record_changes(row["changes"]))
        for kind in kinds
        for row in records[kind][:top]
    ]
    notes = [f"{numbers}, {records['unchanged']:,} the same."]
    if rows:
        notes.append(
            f"Windows in which an onset or earthquake was found, and false picks and detections, "
            f"in {letters[0]}->{letters[1]}; within 0.5 s. Net: found more, plus false ones less."
        )
    if any(len(records[kind]) > top for kind in kinds):
        notes.append(f"The first {top} of each kind; --top shows more, --json all.")
    return _Section("Records", ("record", "", "net", "what changed"), rows, notes)


def _record_changes(changes: Document) -> str:
    return ", ".join(f"{what} {c['reference']}->{c['candidate']}" for what, c in changes.items())
