"""What a pipeline file may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from compress.data.mixture import Share
from compress.data.sources import SourceConfig, relative_to_file
from compress.evaluation.protocol import Protocol
from compress.gates import Gates
from compress.stages import AnyStage, check_order
from compress.yaml_file import override, read_yaml, validate
from export.convert import PRECISIONS, Format, Precision

Sources = Annotated[tuple[SourceConfig, ...], Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Section):
    """The three data sets. They must not share records."""

    train: Sources = Field(description="Records to train on.")
    calibration: Sources = Field(description="Records to calibrate int8 and probabilities on.")
    evaluation: Sources = Field(description="Labelled records to measure accuracy on.")

    @model_validator(mode="after")
    def _shares_in_training(self) -> Self:
        for name in ("calibration", "evaluation"):
            if any(source.share != Share() for source in getattr(self, name)):
                raise ValueError(
                    f"{name}: weight and label_weight are for sources of train only: what is "
                    "measured is measured on records as often as they are there"
                )
        if all(source.weight == 0 for source in self.train):
            raise ValueError("train: every source has weight 0, so that there is none to draw from")
        return self


class EvaluationConfig(Protocol):
    """How the model is measured after each stage."""

    latency_pairs: int = Field(
        default=300, ge=10, le=100_000, description="Rounds of the interleaved latency measurement."
    )
    latency_seconds: float = Field(
        default=20.0, gt=0, le=3600, description="Longest time for one latency measurement, s."
    )


class ExportConfig(_Section):
    """One format to export the last model to."""

    format: Format = Field(description="The format of the file.")
    precision: Precision = Field(
        description="What it computes in: float32, int8, or in between: float16 and dynamic (int8 "
        "weights alone; both TFLite only), int16x8 (int8 weights, int16 activations)."
    )

    @model_validator(mode="after")
    def _written_so(self) -> Self:
        if self.precision not in PRECISIONS[self.format]:
            known = ", ".join(one.value for one in PRECISIONS[self.format])
            raise ValueError(
                f"{self.format.value} is not written in {self.precision.value}; it has {known}"
            )
        return self


class Pipeline(_Section):
    """What to start from, on which data, through which stages, by which rules, exported to what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": 1,
                    "name": "small",
                    "output": "artifacts/small",
                    "baseline": "eqt-conservative",
                    "data": {
                        "train": [{"kind": "synthetic", "records": 4000, "seed": 1}],
                        "calibration": [{"kind": "synthetic", "records": 256, "seed": 2}],
                        "evaluation": [{"kind": "synthetic", "records": 800, "seed": 3}],
                    },
                    "stages": [{"kind": "distill"}, {"kind": "quantize"}],
                    "gates": {"accuracy": [{"metric": "p_f1_0.5s", "margin": 0.02}]},
                    "export": [{"format": "tflite", "precision": "int8"}],
                }
            ]
        }
    )

    version: Literal[1] = Field(description="Version of this file's format.")
    name: str = Field(description="Name of the pipeline and of what it exports.")
    seed: int = Field(default=0, ge=0, description="Seed of everything random.")
    output: Path = Field(description="Folder for what the run produces; relative to this file.")
    baseline: str = Field(
        default="eqt-conservative",
        description="The model to start from: eqt-conservative, eqt-original, or the path of an "
        "`.h5` that the original EQTransformer code trained or of a `.keras` that a stage left, "
        "relative to this file.",
    )
    data: DataConfig = Field(description="The records: three sets, which must not share any.")
    evaluation: EvaluationConfig = Field(
        default=EvaluationConfig(), description="Windows, thresholds and time of each measurement."
    )
    stages: Annotated[tuple[AnyStage, ...], Field(min_length=1)] = Field(
        description="What is done to the model, in order: first what changes its structure "
        "(simplify, substitute, scale, prune), then distill, then quantize."
    )
    gates: Gates = Field(
        default=Gates(), description="Rules that hold after every stage, against the baseline."
    )
    inconclusive: Literal["fail", "warn"] = Field(
        default="fail",
        description="What a rule that the records are too few to decide means: a failure, or a "
        "warning.",
    )
    export: tuple[ExportConfig, ...] = Field(default=(), description="What to export at the end.")

    _resolve = field_validator("output")(relative_to_file)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
            raise ValueError("letters, digits, - and _ only, at most 64")
        return name

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        check_order(self.stages)
        return self


def load_pipeline(path: Path, overrides: tuple[str, ...] = ()) -> Pipeline:
    """The pipeline that a file declares, with single values replaced (`stages.2.steps=500`).

    Raises:
        InputError: with file, line and key of what is wrong, and what would be right.
    """
    file = read_yaml(path)
    for assignment in overrides:
        override(file, assignment)
    return validate(file, Pipeline)
