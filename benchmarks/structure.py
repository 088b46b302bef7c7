"""What simplification and each substitute for the LSTMs give, on real records, as exported.

Runs one pipeline per cell (simplify, then substitute in all places, fine-tuned against the
baseline), measures every stage's TFLite on labelled records against the unmodified baseline, and
times its TFLite and ONNX exports against the baseline's exports in the same format.

Repeat (DATA holds labelled records in SeisBench's format, TRAIN recordings that need no picks):
    python -m benchmarks.structure --labelled DATA --train TRAIN \
        --json benchmarks/results/structure.json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from compress.cells import CellKind
from compress.config import Pipeline
from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.evaluation.cost import file_bytes, operators
from compress.evaluation.latency import compare_files
from compress.pipeline import LOOPS, open_data, run, stage_keys
from compress.report.table import interval, times
from compress.store import Artifact, Store, heading, write_json
from export.convert import Format, convert

METRICS = (
    "p_f1_0.5s",
    "s_f1_0.5s",
    "detection_f1",
    "p_f1_0.1s",
    "s_f1_0.1s",
    "p_highest_peak_recall_0.5s",
    "s_highest_peak_recall_0.5s",
)
PAIRS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--baseline", default="eqt-conservative", help="published name or .h5")
    parser.add_argument("--labelled", type=Path, required=True, help="folder of labelled records")
    parser.add_argument("--split", default="test", help="of the labelled records")
    parser.add_argument("--train", type=Path, action="append", default=[], help="training records")
    parser.add_argument("--synthetic", type=int, default=2000, help="synthetic training records")
    parser.add_argument(
        "--cells", nargs="*", default=get_args(CellKind), choices=get_args(CellKind)
    )
    parser.add_argument("--records", type=int, default=1500, help="records the teacher answers")
    parser.add_argument("--steps", type=int, default=600, help="fine-tuning steps per cell")
    parser.add_argument("--output", type=Path, default=Path("artifacts/structure"))
    parser.add_argument("--json", type=Path, required=True, help="where to write the result")
    arguments = parser.parse_args()

    rows: dict[str, dict[str, Any]] = {}
    with Progress() as progress:
        for cell in (None, *arguments.cells):
            pipeline = _pipeline(arguments, cell)
            results = run(pipeline, Path.cwd(), progress).results
            keys = stage_keys(pipeline, results["baseline"]["sha256"], open_data(pipeline))
            store = Store(pipeline.output / "stages")
            artifacts = [store.get(label, key) for label, key in keys]
            for artifact, row in zip(artifacts, results["models"], strict=True):
                name = row["label"] if "substitute" not in row["label"] else f"substitute {cell}"
                if name not in rows:
                    rows[name] = _as_exported(row, artifact, artifacts[0], progress)
    result = {
        **heading("python", "-m", "benchmarks.structure"),
        "models": rows,
    }
    write_json(arguments.json, result)
    _show(rows)


def _pipeline(arguments: argparse.Namespace, cell: str | None) -> Pipeline:
    """Simplify and, if a cell is given, substitute; in one folder, so that stages are shared."""
    stages: list[dict[str, Any]] = [{"kind": "simplify"}]
    if cell:
        stages.append(
            {
                "kind": "substitute",
                "cell": cell,
                "records": arguments.records,
                "steps": arguments.steps,
            }
        )
    train = [{"kind": "seisbench", "folder": folder.resolve()} for folder in arguments.train]
    labelled = {"kind": "seisbench", "folder": arguments.labelled.resolve()}
    return Pipeline.model_validate(
        {
            "version": 1,
            "name": "structure",
            "seed": 7,
            "output": arguments.output.resolve(),
            "baseline": arguments.baseline,
            "data": {
                "train": [*train, {"kind": "synthetic", "records": arguments.synthetic, "seed": 1}],
                "calibration": [{"kind": "synthetic", "records": 256, "seed": 2}],
                "evaluation": [labelled | {"split": arguments.split}],
            },
            "evaluation": {"placements": 5},
            "stages": stages,
        }
    )


def _as_exported(
    row: dict[str, Any], artifact: Artifact, baseline: Artifact, progress: Progress
) -> dict[str, Any]:
    """A row of the results without its counts, with the ONNX export beside the TFLite one."""
    onnx = artifact.folder / "model.onnx"
    if not onnx.is_file():
        task = progress.add_task(f"{row['label']}: convert to ONNX", total=None)
        convert(artifact.keras, onnx, Format.ONNX)
        progress.update(task, total=1, completed=1)
    latency = None
    if artifact.folder != baseline.folder:
        window = random_windows(SyntheticSource(1, seed=9), 1, seed=0)
        latency = asdict(
            compare_files(onnx, baseline.folder / onnx.name, window, pairs=PAIRS, seconds=60.0)
        )
    used = operators(onnx)
    differences = row["differences"] or {}
    return {
        "parameters": row["cost"]["parameters"],
        "multiply_adds": row["cost"]["multiply_adds"],
        "tflite": {
            "bytes": row["cost"]["bytes"],
            "loops": row["loops"],
            "operators": sum(row["operators"].values()),
            "latency": row["latency"],
        },
        "onnx": {
            "bytes": file_bytes(onnx)[0],
            "loops": sum(used.get(loop, 0) for loop in LOOPS),
            "operators": sum(used.values()),
            "latency": latency,
        },
        "parity": row["parity"],
        "metrics": {metric: row["metrics"][metric] for metric in METRICS},
        "differences": {metric: differences[metric] for metric in METRICS if differences},
        "layers": row["layers"],
    }


def _show(rows: dict[str, dict[str, Any]]) -> None:
    table = Table("model", "parameters", "multiply-adds", "TFLite", "ONNX", *METRICS[:3])
    for name, row in rows.items():
        formats = []
        for format in ("tflite", "onnx"):
            part = row[format]
            ratio = times(part["latency"]["ratio"]) if part["latency"] else "1"
            loops = f", {part['loops']} loops" * bool(part["loops"])
            formats.append(f"{part['bytes'] / 1e3:,.0f} kB, {ratio}{loops}")
        table.add_row(
            name,
            f"{row['parameters'] / 1e3:,.1f} k",
            f"{row['multiply_adds'] / 1e6:,.1f} M",
            *formats,
            *(interval((row["differences"] or row["metrics"])[metric]) for metric in METRICS[:3]),
        )
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
