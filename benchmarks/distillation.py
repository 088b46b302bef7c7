"""What makes a student good: one recipe, and what becomes of it when a part is taken away.

    python -m benchmarks.distillation RECIPE --labelled DATA --steps N --json FILE

Every variant trains the recipe's student for the same steps from the same seed and is then measured
on the same windows. Differences to the whole recipe are paired, 95 % intervals from a bootstrap
over records.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.progress import Progress

from baseline.keras import keras
from baseline.weights import load_eqtransformer
from compress.config import Pipeline, load_pipeline
from compress.data.augmentation import GROUPS
from compress.data.records import Source
from compress.data.sources import SyntheticConfig, open_folder, open_set
from compress.data.teachers import Teacher
from compress.evaluation.metrics import Counts
from compress.evaluation.protocol import Protocol, evaluate
from compress.pipeline import resolve_baseline
from compress.results import differences_document, metrics_document
from compress.stages.base import Context, StageModel
from compress.stages.distill import Distill
from compress.store import heading, write_json
from export.runtimes import KerasRunner

WHOLE = "whole recipe"
PLACEMENTS = 5

Variant = Callable[[Pipeline, Distill], tuple[Pipeline, Distill]]


def variants() -> dict[str, Variant]:
    """What is changed, by name."""
    changed: dict[str, Variant] = {
        WHOLE: lambda pipeline, stage: (pipeline, stage),
        "single pass instead of consensus": lambda pipeline, stage: (
            pipeline,
            stage.model_copy(update={"shifts": 1}),
        ),
        "baseline alone, single pass": lambda pipeline, stage: (
            pipeline,
            stage.model_copy(update={"shifts": 1, "teachers": (Teacher(),)}),
        ),
        "baseline alone": lambda pipeline, stage: (
            pipeline,
            stage.model_copy(update={"teachers": (Teacher(),)}),
        ),
        "synthetic records only": lambda pipeline, stage: (_synthetic_only(pipeline), stage),
        "teachers instead of synthetic labels": lambda pipeline, stage: (
            _without_labels(pipeline),
            stage,
        ),
        "no hard negatives": lambda pipeline, stage: (
            pipeline,
            stage.model_copy(update={"hard_negatives": None}),
        ),
    }
    for group in GROUPS:
        changed[f"no augmentation: {group}"] = lambda pipeline, stage, group=group: (
            pipeline,
            stage.model_copy(update={"augmentation": stage.augmentation.without(group)}),
        )
    return changed


def _synthetic_only(pipeline: Pipeline) -> Pipeline:
    parts = tuple(part for part in pipeline.data.train if isinstance(part, SyntheticConfig))
    return _with_train(pipeline, parts)


def _without_labels(pipeline: Pipeline) -> Pipeline:
    parts = tuple(part.model_copy(update={"label_weight": 0.0}) for part in pipeline.data.train)
    return _with_train(pipeline, parts)


def _with_train(pipeline: Pipeline, train: tuple[Any, ...]) -> Pipeline:
    return pipeline.model_copy(update={"data": pipeline.data.model_copy(update={"train": train})})


def student_of(
    stage: Distill, train: Source, calibration: Source, seed: int, folder: Path, shared: Shared
) -> tuple[keras.Model, float]:
    """The student that a stage trains, and how many seconds that took."""
    scratch, products = folder / "scratch", folder / "products"
    for path in (scratch, products):
        path.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    context = Context(
        baseline=shared.baseline,
        train=train,
        calibration=calibration,
        seed=seed,
        scratch=scratch,
        products=products,
        progress=shared.progress,
        targets=shared.targets,
    )
    student = stage.apply(StageModel(shared.baseline), context).keras
    return student, time.monotonic() - began


class Shared:
    """What all variants use."""

    def __init__(self, baseline: keras.Model, targets: Path, progress: Progress) -> None:
        self.baseline, self.targets, self.progress = baseline, targets, progress


def main() -> None:
    """Train and measure the variants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, help="a pipeline with a distill stage")
    parser.add_argument("--set", action="append", default=[], metavar="PLACE=VALUE")
    parser.add_argument("--labelled", type=Path, action="append", required=True)
    parser.add_argument("--split", help="of the labelled records")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--only", action="append", help="variants; all without it")
    parser.add_argument("--folder", type=Path, help="keeps targets and checkpoints")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()

    declared = load_pipeline(arguments.recipe, tuple(arguments.set))
    (stage,) = (stage for stage in declared.stages if isinstance(stage, Distill))
    stage = stage.model_copy(update={"steps": arguments.steps})
    tests = {
        **{folder.name: open_folder(folder, arguments.split) for folder in arguments.labelled},
        "synthetic": open_set(declared.data.evaluation),
    }
    protocol = Protocol(placements=PLACEMENTS)
    baseline = load_eqtransformer(resolve_baseline(declared, arguments.recipe.parent)[0])
    document: dict[str, Any] = heading("python", "-m", "benchmarks.distillation") | {
        "steps": arguments.steps,
        "variants": {},
    }
    with Progress() as progress, tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        shared = Shared(baseline, folder / "targets", progress)
        whole: dict[str, Counts] = {}
        for name, change in variants().items():
            if arguments.only and name not in arguments.only:
                continue
            pipeline, changed = change(declared, stage)
            student, seconds = student_of(
                changed,
                open_set(pipeline.data.train),
                open_set(pipeline.data.calibration),
                pipeline.seed,
                folder / name.replace(" ", "-").replace(":", ""),
                shared,
            )
            result: dict[str, Any] = {"seconds": round(seconds, 1)}
            for test, source in tests.items():
                counts = evaluate(
                    KerasRunner(student), source, protocol, progress, f"{name}: {test}"
                )
                whole.setdefault(test, counts)
                result[test] = {
                    "metrics": metrics_document(counts),
                    "differences": differences_document(counts, whole[test]),
                }
            document["variants"][name] = result
            write_json(arguments.json, document)


if __name__ == "__main__":
    main()
