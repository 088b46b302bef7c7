"""Runs a pipeline: every stage in order, each measured and gated, then the exports.

Whatever is finished is kept under a hash of what went into it and not made again, so a run that
was interrupted, or whose later stages were changed, goes on from where it stands.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.errors import InputError
from baseline.extras import require_train
from baseline.files import UNFINISHED, remove_leftovers, writing
from baseline.published import PUBLISHED, fetch
from compress.accuracy_results import (
    curves_document,
    reliability_document,
    residuals_document,
    strata_document,
)
from compress.config import ExportConfig, Pipeline
from compress.data.calibration import calibration_windows
from compress.data.feeds import random_windows
from compress.data.records import Source
from compress.data.reference import reference_windows
from compress.data.sources import check_disjoint, open_set
from compress.evaluation.answers import watched
from compress.evaluation.cost import Cost, file_bytes, keras_multiply_adds, operators
from compress.evaluation.disagreement import WindowFacts, window_facts
from compress.evaluation.examples import (
    EXAMPLES_FILE,
    Examples,
    make_examples,
    read_examples,
    write_examples,
)
from compress.evaluation.inspection import LOOPS
from compress.evaluation.latency import compare_files
from compress.evaluation.parity import MINIMUM_WINDOWS, compare_outputs
from compress.evaluation.protocol import labelled
from compress.evaluation.strata import Properties, read_properties, strata
from compress.evaluation.window_scores import score_windows
from compress.gates import Gates, Measured, Outcome, Verdict, all_pass, judge
from compress.measurements import RESULTS_FILE, StoredModel, window_protocol
from compress.models import find
from compress.report.markdown import PICTURES_FOLDER
from compress.report.run_report import write_run_report
from compress.results import (
    differences_document,
    from_document,
    metrics_document,
    to_document,
    verdict_document,
)
from compress.stage_export import bundle_metadata, calibration_draw, export_stage
from compress.stages.base import RULES, Context, Phase, Stage, StageModel
from compress.store import (
    KERAS_FILE,
    LAYERS_FILE,
    STAGES_FOLDER,
    TARGETS_FOLDER,
    TFLITE_FILE,
    Artifact,
    Store,
    code_hash,
    content_key,
    file_hash,
    versions,
    write_json,
)
from compress.time_shares import time_shares
from compress.training.crew import Crew, Order
from compress.training.distributed import VARIABLE, Place, Workers, declared_place, gather
from export.bundle import write_bundle
from export.convert import FLOAT32_TOLERANCE, Format, Precision, convert
from export.reference import record
from export.runtimes import KerasRunner, load_parallel_runner, load_runner
from export.trial import require_runnable
from export.workers import prepare

if TYPE_CHECKING:
    from baseline.keras import keras

LOCK_FILE = "run.lock"
EXPORTS_FOLDER = "exports"
BASELINE_LABEL = "0-baseline"

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
                f"Give {' or '.join(PUBLISHED)}, or the path of an .h5 or .keras file.",
            )
        require_runnable(path)
    return path, file_hash(path)


def baseline_key(baseline_hash: str) -> str:
    """Content key of the baseline as a stage."""
    return content_key("baseline", baseline_hash, code_hash(), versions())


def stage_key(
    parent: str, stage: Stage, pipeline: Pipeline, data: Data, earlier: Mapping[str, str]
) -> str:
    """Content key of a stage that is applied to the model with the key `parent`.

    `earlier` holds the keys of all stages before it by label.

    Raises:
        InputError: a model that the stage names is neither an earlier stage nor to be found.
    """
    settings = stage.model_dump(mode="json", exclude=RULES)
    prints = data.fingerprints()
    parts = [parent, settings, pipeline.seed, prints["train"], prints["calibration"]]
    named = {
        name: earlier.get(name) or _hash_of_named(name, stage, earlier)
        for name in stage.named_models()
    }
    return content_key(*parts, named) if named else content_key(*parts)


def _hash_of_named(name: str, stage: Stage, earlier: Mapping[str, str]) -> str:
    try:
        return file_hash(find(name).path)
    except InputError as error:
        stages = f"Stages before {stage.kind} are {', '.join(earlier)}."
        raise InputError(f"{stage.kind}: {error.message}", f"{error.hint} {stages}") from None


def stage_keys(pipeline: Pipeline, baseline_hash: str, data: Data) -> list[tuple[str, str]]:
    """Label and content key of the baseline and of every stage, if none of them is skipped."""
    key = baseline_key(baseline_hash)
    keys = {BASELINE_LABEL: key}
    for number, stage in enumerate(pipeline.stages, start=1):
        key = stage_key(key, stage, pipeline, data, keys)
        keys[stage_label(number, stage)] = key
    return list(keys.items())


def stage_label(number: int, stage: Stage) -> str:
    """How a stage is called in folders and results."""
    return f"{number}-{stage.kind}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Have a folder for this process alone, without what killed ones had begun to write there."""
    lock = FileLock(folder / LOCK_FILE, timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / LOCK_FILE):
        try:
            lock.acquire()
        except Timeout:  # an OSError, too
            raise InputError(
                f"{folder}: another run is using this folder.",
                "Wait for it, or give this one another `output`.",
            ) from None
    try:
        remove_leftovers(folder, folder / EXPORTS_FOLDER, folder / PICTURES_FOLDER)
        yield
    finally:
        lock.release()


def run(
    pipeline: Pipeline,
    folder: Path,
    progress: Progress,
    on_row: Callable[[Row], None] = lambda row: None,
) -> Run | None:
    """Run a pipeline and write `results.json`, `examples.npz`, `report.md` and `report.html`.

    A stage whose gates fail is the last: what came before it, and it, are kept and reported. With
    `on_fail: skip` the run goes on from the model before that stage instead.

    Where stages are trained by several workers, each of these calls this; the first one runs the
    pipeline, the others train along.

    Args:
        pipeline: what to do.
        folder: that of the pipeline file; the baseline's path is relative to it.
        progress: where progress is shown.
        on_row: called with each model's row of the results as soon as it is measured.

    Returns:
        What came of it; None for another worker than the first.

    Raises:
        InputError: something that was given cannot be used. Finished stages stay.
    """
    require_train()
    joint = any(stage.joint_batch() for stage in pipeline.stages)
    place = declared_place() if joint else None
    if place and place.index:
        _Runner(pipeline, folder, progress, on_row, place).train_along()
        return None
    with _locked(pipeline.output):
        Store(pipeline.output / STAGES_FOLDER).tidy()
        runner = _Runner(pipeline, folder, progress, on_row, place)
        with runner.crew.dismissed_after():
            return runner.run()


@dataclass(frozen=True)
class _Kept:
    """The model that the next stage starts from, and the stages that made it of the baseline."""

    artifact: Artifact
    measured: Measured
    facts: WindowFacts
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True)
class _Comparison:
    """What a model is held against, and whether to go on without it where it falls short."""

    gates: Gates
    reference: Measured
    previous: Measured
    skippable: bool = False


class _Runner:
    """The state of one run."""

    def __init__(
        self,
        pipeline: Pipeline,
        folder: Path,
        progress: Progress,
        on_row: Callable[[Row], None],
        place: Place | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.progress = progress
        self.on_row = on_row
        self.data = open_data(pipeline)
        self.baseline_path, self.baseline_hash = resolve_baseline(pipeline, folder)
        self.store = Store(pipeline.output / STAGES_FOLDER)
        self.rows: list[Row] = []
        self.finished: dict[str, Artifact] = {}
        keys = stage_keys(pipeline, self.baseline_hash, self.data)  # checks the teachers, too
        self.crew = Crew(self._gather(place, dict(keys)))
        self._measured_graph: tuple[str, keras.Model] | None = None
        # Windows on which every export is compared with its origin.
        self.reference_windows = random_windows(
            self.data.calibration, MINIMUM_WINDOWS, pipeline.seed
        )

    @cached_property
    def properties(self) -> Properties:
        """What the records that models are measured on are like."""
        return read_properties(self.data.evaluation)

    @cached_property
    def baseline_graph(self) -> keras.Model:
        """The baseline for all stages, none of which changes it."""
        return _load(self.finished[BASELINE_LABEL])

    def run(self) -> Run:
        """All stages, then the exports."""
        started = time.monotonic()
        baseline = self.finished[BASELINE_LABEL] = self._baseline()
        reference, facts = self._measure(baseline, baseline, Precision.FLOAT32)
        kept = start = _Kept(baseline, reference, facts)
        passed = True
        for number, stage in enumerate(self.pipeline.stages, start=1):
            artifact = self._stage(stage, stage_label(number, stage), kept.artifact, baseline)
            self.finished[stage_label(number, stage)] = artifact
            if not any(later.joint_batch() for later in self.pipeline.stages[number:]):
                self.crew.dismiss()
            gates = _joined(self.pipeline.gates, stage.gates)
            precision = _deployed_precision((stage,))
            comparison = _Comparison(gates, reference, kept.measured, stage.on_fail == "skip")
            measured, facts = self._measure(artifact, baseline, precision, comparison)
            if self.rows[-1]["skipped"]:
                continue
            kept = _Kept(artifact, measured, facts, (*kept.stages, stage))
            passed = self._passes(self.rows[-1])
            if not passed:
                break
        shutil.rmtree(self.pipeline.output / TARGETS_FOLDER, ignore_errors=True)
        if passed:
            for export in self.pipeline.export:
                self._export(export, kept, baseline, reference)
            passed = all(self._passes(row) for row in self.rows if not row["skipped"])
        seconds = time.monotonic() - started
        results = {
            "format": 1,
            "name": self.pipeline.name,
            "outcome": (Outcome.PASS if passed else Outcome.FAIL).value,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 1),
            "time_shares": time_shares(self.progress, seconds),
            "baseline": {"name": self.pipeline.baseline, "sha256": self.baseline_hash},
            "data": self.data.fingerprints(),
            "versions": versions(),
            "pipeline": self.pipeline.model_dump(mode="json", exclude={"output"}),
            "models": self.rows,
        }
        write_json(self.pipeline.output / RESULTS_FILE, results)
        write_run_report(self.pipeline.output, results, self._examples(start, kept))
        return Run(self.pipeline.output, results)

    def train_along(self) -> None:
        """What another worker does: its share of the trainings that the first one calls it to.

        Raises:
            InputError: the first worker failed or was lost, or its files are not to be seen here.
        """
        if self.crew.workers.number == 1:  # all that could be trained together is finished
            return
        stages = {stage_label(n, stage): stage for n, stage in enumerate(self.pipeline.stages, 1)}
        for order in self.crew.orders():
            folder = self.pipeline.output / order["folder"]
            if not folder.is_dir():
                raise InputError(
                    f"{folder}: is not there, where the first worker makes {order['label']}.",
                    "All workers have to see the same output folder.",
                )
            self.finished = {
                label: self.store.get(label, key) for label, key in order["earlier"].items()
            }
            stage = stages[order["label"]]
            with tempfile.TemporaryDirectory() as products:
                baseline = self.finished[BASELINE_LABEL]
                parent = self.finished[order["parent"]]
                scratch = folder / "scratch"
                context = self._context(stage, baseline, parent, scratch, Path(products))
                stage.apply(StageModel(_load(parent)), context)

    def _gather(self, place: Place | None, keys: Mapping[str, str]) -> Workers:
        """The workers of stages that are trained together, where these are not finished.

        Raises:
            InputError: they are not declared, do not come, cannot share a batch, or are about to
                make something else than the first.
        """
        batches = {
            label: stage.joint_batch()
            for number, stage in enumerate(self.pipeline.stages, start=1)
            if not self.store.find(label := stage_label(number, stage), keys[label])
        }
        shared = {label: batch for label, batch in batches.items() if batch}
        if not shared:
            return Workers()
        if place is None:
            raise InputError(
                f"{', '.join(shared)}: distributed: multi_worker needs the environment variable "
                f"{VARIABLE}, which is not set.",
                "Start this command on every worker with its own, as docs/distributed.md shows, or "
                "leave distributed out.",
            )
        for label, batch in shared.items():
            if batch % place.number:
                raise InputError(
                    f"{label}: a batch of {batch} cannot be divided among {place.number} workers.",
                    f"Take a multiple of {place.number}.",
                )
        with self._waiting("wait for the other workers"):
            workers = gather(place)
            ours = content_key(keys)
            if workers.from_first(lambda: ours) != ours:
                raise InputError(
                    "This worker would not make what the first worker makes.",
                    "The pipeline file, --set, data, and the versions of this program and its "
                    "packages have to be the same for all.",
                )
        return workers

    def _examples(self, start: _Kept, last: _Kept) -> Examples | None:
        """Windows to look at, as the baseline and the last model kept see them.

        What is in the folder is taken where it is of these models and windows. None where no stage
        was kept, and so there are no two models to compare.
        """
        path = self.pipeline.output / EXAMPLES_FILE
        if last is start:
            path.unlink(missing_ok=True)
            return None
        both = (start.artifact, last.artifact)
        key = content_key(*(self._evaluation_key(each, start.artifact) for each in both))
        with suppress(InputError):  # damaged, or of another version: made anew
            found = read_examples(path)
            if found and found.key == key:
                return found
        with self._waiting("choose windows to look at"):
            examples = make_examples(
                key,
                (start.artifact.label, last.artifact.label),
                (start.facts, last.facts),
                (load_runner(start.artifact.tflite), load_runner(last.artifact.tflite)),
                self.data.evaluation,
                self.pipeline.evaluation,
            )
            write_examples(path, examples)
        return examples

    def _passes(self, row: Row) -> bool:
        outcomes = (verdict["outcome"] for verdict in row["verdicts"])
        return all_pass(outcomes, self.pipeline.inconclusive)

    def _baseline(self) -> Artifact:
        from baseline.checkpoint import load_keras
        from baseline.weights import load_eqtransformer

        label, key = BASELINE_LABEL, baseline_key(self.baseline_hash)
        load = load_keras if self.baseline_path.suffix == ".keras" else load_eqtransformer
        found = self.store.find(label, key)
        if found:
            return found
        prepare()
        manifest = self._manifest(label, key, None)
        with self.store.unfinished(label, key, manifest) as folder:
            self._save(StageModel(load(self.baseline_path)), folder, label, manifest)
        return self.store.get(label, key)

    def _stage(self, stage: Stage, label: str, parent: Artifact, baseline: Artifact) -> Artifact:
        """Find the finished stage, or make it."""
        earlier = {label: artifact.key for label, artifact in self.finished.items()}
        key = stage_key(parent.key, stage, self.pipeline, self.data, earlier)
        found = self.store.find(label, key)
        if found:
            return found
        from compress.graphs.changes import layer_changes

        prepare()
        manifest = self._manifest(label, key, parent.key) | {
            "stage": stage.model_dump(mode="json", exclude=RULES)
        }
        with self.store.unfinished(label, key, manifest) as folder:
            context = self._context(stage, baseline, parent, folder / "scratch", folder)
            before = self._take_graph(parent)
            if stage.joint_batch():
                with self.crew.called(self._order(label, parent, folder)):
                    after = stage.apply(StageModel(before), context)
            else:
                after = stage.apply(StageModel(before), context)
            changes = layer_changes(before, after.keras, after.notes)
            write_json(folder / LAYERS_FILE, [change.to_dict() for change in changes])
            self._save(after, folder, label, manifest)
        return self.store.get(label, key)

    def _order(self, label: str, parent: Artifact, folder: Path) -> Order:
        """What other workers have to know to make a stage with the first one: see train_along."""
        (parent_label,) = (name for name, artifact in self.finished.items() if artifact == parent)
        return {
            "label": label,
            "parent": parent_label,
            "folder": str(folder.relative_to(self.pipeline.output)),
            "earlier": {name: artifact.key for name, artifact in self.finished.items()},
        }

    def _context(
        self, stage: Stage, baseline: Artifact, parent: Artifact, scratch: Path, products: Path
    ) -> Context:
        return Context(
            baseline=self.baseline_graph,
            train=self.data.train,
            calibration=self.data.calibration,
            seed=self.pipeline.seed,
            scratch=scratch,
            products=products,
            progress=self.progress,
            earlier={**self.finished, "baseline": baseline, "previous": parent},
            targets=self.pipeline.output / TARGETS_FOLDER,
            workers=self.crew.workers if stage.joint_batch() else Workers(),
        )

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

    def _save(self, model: StageModel, folder: Path, label: str, manifest: dict[str, Any]) -> None:
        """Write the graph, and the TFLite file that stands for the stage in measurements."""
        from baseline.checkpoint import save_keras, weights_hash

        manifest["weights_sha256"] = weights_hash(model.keras)
        save_keras(model.keras, folder / KERAS_FILE)
        if model.quantized is None:
            with self._waiting(f"{label}: convert to TFLite"):
                convert(folder / KERAS_FILE, folder / TFLITE_FILE, Format.TFLITE)

    def _measure(
        self,
        artifact: Artifact,
        baseline: Artifact,
        precision: Precision,
        comparison: _Comparison | None = None,
    ) -> tuple[Measured, WindowFacts]:
        """Measure a stage as it is deployed, or read what was measured before; add its row."""
        label = artifact.label
        key = self._evaluation_key(artifact, baseline)
        document, windows = artifact.evaluation(key), artifact.windows(key)
        if document is None or windows is None:
            document, facts = self._measure_file(
                artifact.tflite, precision, artifact, baseline, label
            )
            artifact.keep_windows(key, facts.to_arrays())
            artifact.keep_evaluation(key, document)
        else:
            facts = WindowFacts.from_arrays(windows)
        measured = from_document(document)
        made = {
            "folder": artifact.folder.name,
            "weights_sha256": artifact.weights_sha256,
            "layers": artifact.layers(),
            "training": artifact.training(),
        }
        self._add_row(label, document, measured, comparison, made)
        return measured, facts

    def _evaluation_key(self, artifact: Artifact, baseline: Artifact) -> str:
        return content_key(
            artifact.key,
            baseline.key,
            self.pipeline.evaluation.model_dump(mode="json"),
            self.data.evaluation.fingerprint(),
            self.data.calibration.fingerprint(),
            code_hash(),
        )

    def _graph(self, artifact: Artifact) -> keras.Model:
        """The Keras graph from an artifact's file, kept for who asks next. Not to be changed."""
        if self._measured_graph is None or self._measured_graph[0] != artifact.key:
            self._measured_graph = (artifact.key, _load(artifact))
        return self._measured_graph[1]

    def _take_graph(self, artifact: Artifact) -> keras.Model:
        """The Keras graph from an artifact's file, for a stage, which may change it."""
        graph = self._graph(artifact)
        self._measured_graph = None
        return graph

    def _measure_file(
        self, path: Path, precision: Precision, artifact: Artifact, baseline: Artifact, label: str
    ) -> tuple[Row, WindowFacts]:
        """Accuracy, cost, latency and parity of an exported file made from `artifact`.

        Returns:
            What a row of the results holds of it, and what it did in every window.

        Raises:
            InputError: a float32 file does not compute what the Keras graph does.
        """
        runner, graph = load_parallel_runner(path), self._graph(artifact)
        answering, answers = watched(runner)
        scores = score_windows(
            answering,
            self.data.evaluation,
            self.pipeline.evaluation,
            self.progress,
            f"{label}: evaluate",
        )
        with self._waiting(f"{label}: compare with Keras, measure latency"):
            parity = compare_outputs(answering, KerasRunner(graph), self.reference_windows)
            if precision is Precision.FLOAT32 and not answers.not_finite:
                parity.require(FLOAT32_TOLERANCE, label)
            latency = None
            if path != baseline.tflite:
                latency = compare_files(
                    path,
                    baseline.tflite,
                    self.reference_windows[:1],
                    pairs=self.pipeline.evaluation.latency_pairs,
                    seconds=self.pipeline.evaluation.latency_seconds,
                )
        cost = Cost(graph.count_params(), keras_multiply_adds(graph), *file_bytes(path))
        compared = None if answers.not_finite else parity.to_dict()
        measured = Measured(scores.counts(), cost.to_dict(), latency, fault=answers.fault())
        used = operators(path)
        document = to_document(measured, compared) | {
            "sha256": file_hash(path),
            "operators": used,
            "precision": precision.value,
            "curves": curves_document(scores.scored),
            "reliability": reliability_document(scores),
            "strata": strata_document(strata(scores, self.properties)),
            "residuals": residuals_document(scores),
            "loops": sum(used.get(loop, 0) for loop in LOOPS),
        }
        return document, window_facts(scores)

    def _add_row(
        self,
        label: str,
        document: Row,
        measured: Measured,
        comparison: _Comparison | None,
        made: Row | None = None,
    ) -> None:
        verdicts: list[Verdict] = []
        differences = None
        if comparison:
            verdicts = judge(comparison.gates, measured, comparison.reference, comparison.previous)
            differences = differences_document(measured.counts, comparison.reference.counts)
        row = {
            "label": label,
            **document,
            "metrics": metrics_document(measured.counts),
            "differences": differences,
            "verdicts": [verdict_document(verdict) for verdict in verdicts],
            "layers": [],
            "training": {},
            **(made or {}),
        }
        row["skipped"] = bool(comparison and comparison.skippable and not self._passes(row))
        self.rows.append(row)
        self.on_row(row)

    def _export(
        self, export: ExportConfig, last: _Kept, baseline: Artifact, reference: Measured
    ) -> None:
        """Write one bundle, from the last model kept, and measure what is in it."""
        label = f"{export.format.value}-{export.precision.value}"
        folder = self.pipeline.output / EXPORTS_FOLDER / f"{self.pipeline.name}-{label}"
        target = folder.parent / f"{UNFINISHED}{label}.{export.format.value}"
        with writing(folder):
            folder.parent.mkdir(exist_ok=True)
        try:
            with self._waiting(f"export {label}: convert"):
                export_stage(
                    last.artifact.folder,
                    _deployed_precision(last.stages),
                    target,
                    export.format,
                    export.precision,
                    self._calibration_windows,
                )
            document, _ = self._measure_file(
                target, export.precision, last.artifact, baseline, f"export {label}"
            )
            measured = from_document(document)
            comparison = _Comparison(self.pipeline.gates, reference, last.measured)
            self._add_row(f"export {label}", document, measured, comparison)
            write_bundle(
                folder,
                target,
                {
                    "format": export.format,
                    "precision": export.precision,
                    "parity": document["parity"],
                    "metrics": self.rows[-1]["metrics"],
                    **bundle_metadata(
                        self.pipeline, last.stages, self.baseline_hash, self.data.fingerprints()
                    ),
                },
                self.pipeline.name,
                counts=self._stored(self.rows[-1]).to_json(),
                reference=record(load_runner(target), reference_windows()),
            )
        finally:
            target.unlink(missing_ok=True)

    def _stored(self, row: Row) -> StoredModel:
        """A row of the results as bundles carry it, for later gates."""
        return StoredModel(
            name=f"{self.pipeline.name} {row['label']}",
            measured=from_document(row),
            fingerprint=self.data.evaluation.fingerprint(),
            protocol=window_protocol(self.pipeline.evaluation.model_dump(mode="json")),
            thresholds=self.pipeline.evaluation.thresholds.model_dump(),
            versions=versions(),
            provenance={"pipeline": self.pipeline.name, "baseline_sha256": self.baseline_hash},
        )

    def _calibration_windows(self) -> NDArray[np.float32]:
        return calibration_windows(self.data.calibration, *calibration_draw(self.pipeline))

    @contextmanager
    def _waiting(self, what: str) -> Iterator[None]:
        """Show that something whose length is not known goes on."""
        task = self.progress.add_task(what, total=None)
        yield
        self.progress.update(task, total=1, completed=1)


def _load(artifact: Artifact) -> keras.Model:
    from baseline.checkpoint import load_keras

    return load_keras(artifact.keras)


def _deployed_precision(stages: Sequence[Stage]) -> Precision:
    """What the TFLite file computes in that stands for a model which these stages made."""
    quantized = bool(stages) and stages[-1].phase is Phase.PRECISION
    return Precision.INT8 if quantized else Precision.FLOAT32


def _joined(run: Gates, stage: Gates) -> Gates:
    """The rules of the run and of one stage."""
    return Gates(
        accuracy=run.accuracy + stage.accuracy,
        cost=run.cost + stage.cost,
        parity=stage.parity or run.parity,
    )
