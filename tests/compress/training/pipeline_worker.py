"""`compress run FOLDER/pipeline.yaml` for test_distributed.py, without EQTransformer.

Argument: FOLDER. Baseline and student are small models, and what is measured of models is made up;
all else is a real run.
"""

import sys
from pathlib import Path

import stored_models as made
from training_worker import student

from compress import cli, pipeline
from compress.gates import Measured
from compress.results import to_document
from compress.stages import distill
from compress.stages.base import StageModel


def baseline(runner):
    label, key = pipeline.BASELINE_LABEL, pipeline.baseline_key(runner.baseline_hash)
    found = runner.store.find(label, key)
    if found:
        return found
    manifest = {}
    with runner.store.unfinished(label, key, manifest) as folder:
        runner._save(StageModel(student(seed=1)), folder, label, manifest)
    return runner.store.get(label, key)


def measure(*_):
    parity = {"windows": 64, "maximum_difference": 0.0, "rms_difference": 0.0}
    return to_document(Measured(made.counts(misses=0), made.COST), parity), made.facts()


if __name__ == "__main__":
    distill.build_student = lambda _: student(seed=0)
    pipeline.resolve_baseline = lambda *_: (Path("x.h5"), "0")
    pipeline.write_run_report = lambda *_: None
    pipeline._Runner._baseline = baseline
    pipeline._Runner._measure_file = measure
    pipeline._Runner._examples = lambda *_: None
    sys.argv = ["compress", "run", str(Path(sys.argv[1]) / "pipeline.yaml")]
    cli.main()
