"""Runs a pipeline: every stage in order, each measured and gated, then the exports.

Whatever is finished is kept under a hash of what went into it and not made again, so a run that
was interrupted, or whose later stages were changed, goes on from where it stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from rich.progress import Progress

from baseline.errors import InputError
from baseline.published import CITATION, LICENCE, PUBLISHED, fetch
from compress.config import ExportConfig, Pipeline
from compress.data.feeds import random_windows
from compress.data.records import Source
from compress.data.sources import check_disjoint, open_set
from compress.evaluation.cost import Cost, file_bytes, keras_multiply_adds, operators
from compress.evaluation.latency import compare
from compress.evaluation.parity import MINIMUM_WINDOWS, compare_outputs
from compress.evaluation.protocol import evaluate, labelled
from compress.gates import Gates, Measured, Outcome, Verdict, judge
from compress.report.markdown import write_report
from compress.results import (
    differences_document,
    from_document,
    metrics_document,
    to_document,
    verdict_document,
)
from compress.stages.base import Context, Phase, Stage, StageModel
from compress.store import (
    KERAS_FILE,
    TFLITE_FILE,
    Artifact,
    Store,
    code_hash,
    content_key,
    file_hash,
    versions,
    write_json,
)
from export.bundle import write_bundle
from export.convert import FLOAT32_TOLERANCE, Format, Precision, convert
from export.runtimes import KerasRunner, Runner, load_runner

if TYPE_CHECKING:
    from baseline.keras import keras

RESULTS_FILE = "results.json"
LOCK_FILE = "run.lock"
LOOPS = ("WHILE", "Loop")

Row = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """The opened sets of a pipeline."""

    train: Source
    calibration: Source
    evaluation: Source

    def fingerprints(self) -> dict[str, str]:
        """A hash of each set."""
        return {name: source.fingerprint() for name, source in vars(self).items()}


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes:
        folder: where everything is.
        results: what `results.json` holds.
    """

    folder: Path
    results: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every gate passed, or was only inconclusive where that is a warning."""
        return self.results["outcome"] == Outcome.PASS


def open_data(pipeline: Pipeline) -> Data:
    """Open the three sets and require that they share no record.

    Raises:
        InputError: a set cannot be opened, is empty, has no labels where they are needed, or
            shares records with another.
    """
    data = Data(
        train=open_set(pipeline.data.train),
        calibration=open_set(pipeline.data.calibration),
        evaluation=open_set(pipeline.data.evaluation),
    )
    check_disjoint(vars(data))
    labelled(data.evaluation)
    for source in vars(data).values():  # a file that cannot be read shows now, not in an hour
        source[0]
    return data


def resolve_baseline(pipeline: Pipeline, folder: Path) -> tuple[Path, str]:
    """The baseline's file and its hash. `folder` is that of the pipeline file."""
    if pipeline.baseline in PUBLISHED:
        path = fetch(pipeline.baseline)
    else:
        path = folder / pipeline.baseline
        if not path.is_file():
            raise InputError(
                f"baseline: {pipeline.baseline!r} is neither a published model nor a file in "
                f"{folder}.",
                f"Give {' or '.join(PUBLISHED)}, or the path of an .h5 file.",
            )
    return path, file_hash(path)


def stage_keys(pipeline: Pipeline, baseline_hash: str, data: Data) -> list[tuple[str, str]]:
    """Label and content key of the baseline and of every stage."""
    prints = data.fingerprints()
    key = content_key("baseline", baseline_hash, code_hash(), versions())
    keys = [("0-baseline", key)]
    for number, stage in enumerate(pipeline.stages, start=1):
        settings = stage.model_dump(mode="json", exclude={"gates"})
        key = content_key(key, settings, pipeline.seed, prints["train"], prints["calibration"])
        keys.append((f"{number}-{stage.kind}", key))
    return keys


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK_FILE, timeout=0):
            yield
    except Timeout:
        raise InputError(
            f"{folder}: another run is using this folder.",
            "Wait for it, or give this one another `output`.",
        ) from None
    except PermissionError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}).") from None


def run(
    pipeline: Pipeline,
    folder: Path,
    progress: Progress,
    on_row: Callable[[Row], None] = lambda row: None,
) -> Run:
    """Run a pipeline and write `results.json` and `report.md` into its output folder.

    A stage whose gates fail is the last: what came before it, and it, are kept and reported.

    Args:
        pipeline: what to do.
        folder: that of the pipeline file; the baseline's path is relative to it.
        progress: where progress is shown.
        on_row: called with each model's row of the results as soon as it is measured.

    Raises:
        InputError: something that was given cannot be used. Finished stages stay.
    """
    with _locked(pipeline.output):
        return _Runner(pipeline, folder, progress, on_row).run()


class _Runner:
    """The state of one run."""

    def __init__(
        self, pipeline: Pipeline, folder: Path, progress: Progress, on_row: Callable[[Row], None]
    ) -> None:
        self.pipeline = pipeline
        self.progress = progress
        self.on_row = on_row
        self.data = open_data(pipeline)
        self.baseline_path, self.baseline_hash = resolve_baseline(pipeline, folder)
        self.keys = stage_keys(pipeline, self.baseline_hash, self.data)
        self.store = Store(pipeline.output / "stages")
        self.rows: list[Row] = []
        # Windows on which every export is compared with its origin.
        self.reference_windows = random_windows(
            self.data.calibration, MINIMUM_WINDOWS, pipeline.seed
        )

    def run(self) -> Run:
        """All stages, then the exports."""
        started = time.monotonic()
        baseline = self._baseline()
        reference = self._measure(baseline, baseline, Precision.FLOAT32, Gates())
        last, passed = baseline, True
        for stage, (label, key) in zip(self.pipeline.stages, self.keys[1:], strict=True):
            last = self._stage(stage, label, key, last, baseline)
            gates = _joined(self.pipeline.gates, stage.gates)
            precision = Precision.INT8 if stage.phase is Phase.PRECISION else Precision.FLOAT32
            self._measure(last, baseline, precision, gates, reference)
            passed = self._passes(self.rows[-1])
            if not passed:
                break
        if passed:
            for export in self.pipeline.export:
                self._export(export, last, baseline, reference)
            passed = all(self._passes(row) for row in self.rows)
        results = {
            "format": 1,
            "name": self.pipeline.name,
            "outcome": (Outcome.PASS if passed else Outcome.FAIL).value,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - started, 1),
            "baseline": {"name": self.pipeline.baseline, "sha256": self.baseline_hash},
            "data": self.data.fingerprints(),
            "versions": versions(),
            "pipeline": self.pipeline.model_dump(mode="json", exclude={"output"}),
            "models": self.rows,
        }
        write_json(self.pipeline.output / RESULTS_FILE, results)
        write_report(self.pipeline.output / "report.md", results)
        return Run(self.pipeline.output, results)

    def _passes(self, row: Row) -> bool:
        tolerated = {Outcome.PASS.value}
        if self.pipeline.inconclusive == "warn":
            tolerated.add(Outcome.INCONCLUSIVE.value)
        return all(verdict["outcome"] in tolerated for verdict in row["verdicts"])

    def _baseline(self) -> Artifact:
        from baseline.weights import load_eqtransformer

        label, key = self.keys[0]
        found = self.store.find(label, key)
        if found:
            return found
        with self.store.unfinished(label, key, self._manifest(label, key, None)) as folder:
            self._save(StageModel(load_eqtransformer(self.baseline_path)), folder, label)
        return self.store.get(label, key)

    def _stage(
        self, stage: Stage, label: str, key: str, parent: Artifact, baseline: Artifact
    ) -> Artifact:
        """Find the finished stage, or make it."""
        found = self.store.find(label, key)
        if found:
            return found
        manifest = self._manifest(label, key, parent.key) | {
            "stage": stage.model_dump(mode="json", exclude={"gates"})
        }
        with self.store.unfinished(label, key, manifest) as folder:
            context = Context(
                baseline=_load(baseline),
                train=self.data.train,
                calibration=self.data.calibration,
                seed=self.pipeline.seed,
                scratch=folder / "scratch",
                products=folder,
                progress=self.progress,
            )
            self._save(stage.apply(StageModel(_load(parent)), context), folder, label)
        return self.store.get(label, key)

    def _manifest(self, label: str, key: str, parent: str | None) -> dict[str, Any]:
        return {
            "label": label,
            "key": key,
            "parent": parent,
            "baseline_sha256": self.baseline_hash,
            "data": self.data.fingerprints(),
            "versions": versions(),
            "code": code_hash(),
        }

    def _save(self, model: StageModel, folder: Path, label: str) -> None:
        """Write the graph, and the TFLite file that stands for the stage in measurements."""
        from baseline.checkpoint import save_keras

        save_keras(model.keras, folder / KERAS_FILE)
        if model.quantized is None:
            with self._waiting(f"{label}: convert to TFLite"):
                convert(folder / KERAS_FILE, folder / TFLITE_FILE, Format.TFLITE)

    def _measure(
        self,
        artifact: Artifact,
        baseline: Artifact,
        precision: Precision,
        gates: Gates,
        reference: Measured | None = None,
    ) -> Measured:
        """Measure a stage as it is deployed, or read what was measured before; add its row."""
        label = artifact.folder.name.rsplit("-", 1)[0]
        key = content_key(
            artifact.key,
            baseline.key,
            self.pipeline.evaluation.model_dump(mode="json"),
            self.data.evaluation.fingerprint(),
            self.data.calibration.fingerprint(),
            code_hash(),
        )
        document = artifact.evaluation(key)
        if document is None:
            document = self._measure_file(artifact.tflite, precision, artifact, baseline, label)
            artifact.keep_evaluation(key, document)
        measured = from_document(document)
        self._add_row(label, document, measured, gates, reference)
        return measured

    def _measure_file(
        self, path: Path, precision: Precision, artifact: Artifact, baseline: Artifact, label: str
    ) -> Row:
        """Accuracy, cost, latency and parity of an exported file made from `artifact`.

        Raises:
            InputError: a float32 file does not compute what the Keras graph does.
        """
        runner, graph = load_runner(path), _load(artifact)
        counts = evaluate(
            runner,
            self.data.evaluation,
            self.pipeline.evaluation,
            self.progress,
            f"{label}: evaluate",
        )
        with self._waiting(f"{label}: compare with Keras, measure latency"):
            parity = compare_outputs(runner, KerasRunner(graph), self.reference_windows)
            if precision is Precision.FLOAT32:
                parity.require(FLOAT32_TOLERANCE, label)
            latency = None
            if path != baseline.tflite:
                window = self.reference_windows[:1]
                latency = compare(
                    _bound(runner, window),
                    _bound(load_runner(baseline.tflite), window),
                    pairs=self.pipeline.evaluation.latency_pairs,
                    seconds=self.pipeline.evaluation.latency_seconds,
                )
        cost = Cost(graph.count_params(), keras_multiply_adds(graph), *file_bytes(path))
        measured = Measured(counts, cost.to_dict(), latency, parity.maximum_difference)
        used = operators(path)
        return to_document(measured, parity.to_dict()) | {
            "operators": used,
            "precision": precision.value,
            "loops": sum(used.get(loop, 0) for loop in LOOPS),
        }

    def _add_row(
        self,
        label: str,
        document: Row,
        measured: Measured,
        gates: Gates,
        reference: Measured | None,
    ) -> None:
        verdicts: list[Verdict] = judge(gates, measured, reference) if reference else []
        row = {
            "label": label,
            **document,
            "metrics": metrics_document(measured.counts),
            "differences": differences_document(measured.counts, reference.counts)
            if reference
            else None,
            "verdicts": [verdict_document(verdict) for verdict in verdicts],
        }
        self.rows.append(row)
        self.on_row(row)

    def _export(
        self, export: ExportConfig, last: Artifact, baseline: Artifact, reference: Measured
    ) -> None:
        """Write one bundle, from the last stage, and measure what is in it."""
        label = f"{export.format.value}-{export.precision.value}"
        folder = self.pipeline.output / "exports" / f"{self.pipeline.name}-{label}"
        folder.parent.mkdir(exist_ok=True)
        target = folder.parent / f".{label}.{export.format.value}"
        try:
            self._convert(export, last, target, label)
            document = self._measure_file(
                target, export.precision, last, baseline, f"export {label}"
            )
            measured = from_document(document)
            self._add_row(f"export {label}", document, measured, self.pipeline.gates, reference)
            write_bundle(
                folder,
                target,
                {
                    "format": export.format,
                    "precision": export.precision,
                    "thresholds": self.pipeline.evaluation.thresholds.model_dump(),
                    "parity": document["parity"],
                    "metrics": self.rows[-1]["metrics"],
                    "provenance": {
                        "baseline": self.pipeline.baseline,
                        "baseline_sha256": self.baseline_hash,
                        "stages": [s.model_dump(mode="json") for s in self.pipeline.stages],
                        "data": self.pipeline.data.model_dump(mode="json"),
                        "data_fingerprints": self.data.fingerprints(),
                        "versions": versions(),
                    },
                    "licence": LICENCE,
                    "citation": CITATION,
                },
                self.pipeline.name,
            )
        finally:
            target.unlink(missing_ok=True)

    def _convert(self, export: ExportConfig, last: Artifact, target: Path, label: str) -> None:
        quantize = self.pipeline.stages[-1]
        if quantize.kind == "quantize" and export == ExportConfig(
            format=Format.TFLITE, precision=Precision.INT8
        ):
            target.write_bytes(last.tflite.read_bytes())  # what the stage made and the gates saw
            return
        calibration = None
        if export.precision is Precision.INT8:
            number = getattr(quantize, "windows", CALIBRATION_WINDOWS)
            calibration = random_windows(self.data.calibration, number, self.pipeline.seed)
        with self._waiting(f"export {label}: convert"):
            convert(last.keras, target, export.format, calibration)

    @contextmanager
    def _waiting(self, what: str) -> Iterator[None]:
        """Show that something whose length is not known goes on."""
        task = self.progress.add_task(what, total=None)
        yield
        self.progress.update(task, total=1, completed=1)


CALIBRATION_WINDOWS = 256
"""For int8 exports of pipelines without a quantize stage that says how many."""


def _load(artifact: Artifact) -> keras.Model:
    from baseline.checkpoint import load_keras

    return load_keras(artifact.keras)


def _bound(runner: Runner, windows: Any) -> Callable[[], object]:
    return lambda: runner(windows)


def _joined(run: Gates, stage: Gates) -> Gates:
    """The rules of the run and of one stage."""
    return Gates(
        accuracy=run.accuracy + stage.accuracy,
        cost=run.cost + stage.cost,
        parity=stage.parity or run.parity,
    )
