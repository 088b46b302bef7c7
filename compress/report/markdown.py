"""`report.md`: what a run did and what came of it, with pictures beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from baseline.files import writing
from compress.graphs.changes import KEPT
from compress.report.contents import RANKING, Contents, Picture
from compress.report.run_rows import kind_of
from compress.report.summary import escaped
from compress.report.svg import standalone
from compress.report.table import EXPLANATION, interval, markdown_table
from compress.report.verdict import Verdict
from compress.store import write_text

PICTURES_FOLDER = "pictures"

DETAILS = (
    ("P precision / recall / F1, 0.5 s", ("p_precision_0.5s", "p_recall_0.5s", "p_f1_0.5s")),
    ("S precision / recall / F1, 0.5 s", ("s_precision_0.5s", "s_recall_0.5s", "s_f1_0.5s")),
    ("P precision / recall / F1, 0.1 s", ("p_precision_0.1s", "p_recall_0.1s", "p_f1_0.1s")),
    ("S precision / recall / F1, 0.1 s", ("s_precision_0.1s", "s_recall_0.1s", "s_f1_0.1s")),
    (
        "detection precision / recall / F1",
        ("detection_precision", "detection_recall", "detection_f1"),
    ),
    (
        "P residual mean / deviation / MAE, s",
        ("p_residual_mean_s", "p_residual_std_s", "p_residual_mae_s"),
    ),
    (
        "S residual mean / deviation / MAE, s",
        ("s_residual_mean_s", "s_residual_std_s", "s_residual_mae_s"),
    ),
    (
        "false detections / P / S per hour of noise",
        ("false_detections_per_hour", "false_p_per_hour", "false_s_per_hour"),
    ),
)


def write_report(path: Path, contents: Contents) -> None:
    """Write the report of a run, whole or not at all, and its pictures into a folder beside it."""
    pictures = path.parent / PICTURES_FOLDER
    with writing(pictures):
        pictures.mkdir(exist_ok=True)
    for picture in contents.all_pictures():
        if picture.svg is not None:
            write_text(pictures / f"{picture.name}.svg", standalone(picture.svg))
    write_text(path, report(contents))


def report(contents: Contents) -> str:
    """The report of a run's results, in Markdown."""
    results = contents.results
    rows = [row for row in contents.rows if kind_of(row) != "peer"]
    parts = [
        f"# {escaped(contents.title)}: {results['outcome']}",
        *_verdict(contents.verdict),
        f"Started from {escaped(results['baseline']['name'])} (SHA-256 "
        f"`{results['baseline']['sha256']}`); finished {results['finished']} after "
        f"{results['seconds']:,.0f} s of this run.",
        markdown_table([{**row, "label": escaped(row["label"])} for row in contents.rows]),
        EXPLANATION,
    ]
    if any(row.get("loops") for row in rows):
        parts.append(
            "(loops): the exported graph holds WHILE or Loop operators, which run step by step and "
            "can be slower than what they replaced."
        )
    for picture in contents.pictures.values():
        parts += [f"## {picture.title}", *_picture(picture)]
    for row in rows:
        parts.append(f"## {row['label']}")
        if row["skipped"]:
            parts.append("**Skipped**: rules were not kept, so the run went on without this stage.")
        parts.append(_metrics(row))
        if row["latency"]:
            parts.append(_latency(row["latency"]))
        if row["parity"]:
            parts.append(
                f"Against its Keras graph, over {row['parity']['windows']} windows run in "
                f"sequence: at most {row['parity']['maximum_difference']:.3g} apart, "
                f"{row['parity']['rms_difference']:.3g} root mean square."
            )
        parts += [_training(what, told) for what, told in row.get("training", {}).items()]
        parts += _gates(row)
        parts += _layers(row.get("layers", []))
    parts += ["## Waveforms", contents.no_examples or RANKING]
    for example in contents.examples:
        parts.append(f"### {example.picture.title}: {escaped(example.title)}")
        parts += _picture(example.picture)
    configuration = yaml.safe_dump(results["pipeline"], sort_keys=False, allow_unicode=True)
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    prints = ", ".join(f"{name} `{value}`" for name, value in results["data"].items())
    parts += [
        "## Configuration",
        f"```yaml\n{configuration}```",
        f"Versions: {versions}.",
        f"Fingerprints of the records: {prints}.",
        contents.licences,
        *_time_shares(results.get("time_shares", [])),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(verdict: Verdict) -> list[str]:
    parts = [f"**{escaped(verdict.headline)}**"]
    for heading, lines in (
        ("What was gained", verdict.gained),
        ("What it cost", verdict.cost),
        ("Not told apart", verdict.open),
    ):
        if lines:
            parts.append("\n".join([f"{heading}:", "", *(f"- {escaped(line)}" for line in lines)]))
    return parts


def _picture(picture: Picture) -> list[str]:
    if picture.draw is None:
        return [f"Not shown. {picture.missing}"]
    return [f"![{picture.title}]({PICTURES_FOLDER}/{picture.name}.svg)", escaped(picture.caption)]


def _metrics(row: dict[str, Any]) -> str:
    lines = ["| metric | value (95 % interval) | | |", "|---|---|---|---|"]
    for heading, names in DETAILS:
        values = " | ".join(interval(row["metrics"][name]) for name in names)
        lines.append(f"| {heading} | {values} |")
    errors = [interval(each["calibration_error"]) for each in row.get("reliability", {}).values()]
    if errors:
        lines.append(f"| calibration error of detection / P / S | {' | '.join(errors)} |")
    return "\n".join(lines)


def _latency(latency: dict[str, float]) -> str:
    return (
        f"Latency: {latency['candidate_ms']:.3g} ms against {latency['reference_ms']:.3g} ms of "
        f"the baseline on this machine, ratio {latency['ratio']:.4f} "
        f"({latency['lower']:.4f} to {latency['upper']:.4f}) over {latency['pairs']} rounds; the "
        f"baseline against itself in the same rounds: {latency['floor']:.4f} "
        f"({latency['floor_lower']:.4f} to {latency['floor_upper']:.4f})."
    )


def _training(what: str, told: dict[str, Any]) -> str:
    return (
        f"Training ({what}): {told['steps']:,} steps of {told['batch']} windows in "
        f"{told['seconds']:,.0f} s, {100 * told['waiting_share']:.1f} % of it waiting for input."
    )


def _time_shares(parts: list[dict[str, Any]]) -> list[str]:
    """Where the time of a run went; nothing for results that do not hold it."""
    if not parts:
        return []
    lines = ["| part of this run | seconds | share |", "|---|---|---|"]
    lines += [
        f"| {escaped(part['part'])} | {part['seconds']:,.1f} | {100 * part['share']:.1f} % |"
        for part in parts
    ]
    return ["## Time", "\n".join(lines)]


def _gates(row: dict[str, Any]) -> list[str]:
    return [
        "\n".join(
            f"- **{verdict['outcome']}**: {verdict['rule']}. {verdict['reason']}"
            for verdict in row["verdicts"]
        )
    ] * bool(row["verdicts"])


def _layers(layers: list[dict[str, str]]) -> list[str]:
    """What became of each layer, those that were kept without remark in one line."""
    if not layers:
        return []
    silent = [layer["layer"] for layer in layers if layer["became"] == KEPT and not layer["note"]]
    told = [layer for layer in layers if layer["layer"] not in silent]
    parts = ["<details><summary>What became of each layer</summary>"]
    if told:
        lines = ["| layer | became | |", "|---|---|---|"]
        lines += [f"| {x['layer']} | {x['became']} | {x['note']} |" for x in told]
        parts.append("\n".join(lines))
    if silent:
        parts.append(f"Kept: {', '.join(silent)}.")
    return [*parts, "</details>"]
