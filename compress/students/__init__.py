"""Students: small networks with EQTransformer's input and outputs, made for distillation and int8.

A student is its configuration, which pipelines declare, and a builder in a file of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from baseline.keras import keras

Channels = Annotated[int, Field(ge=4, le=128)]


class UNetStudent(BaseModel):
    """Depthwise-separable U-Net with sub-pixel upsampling and a dilated middle; see unet.py."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["unet"] = "unet"
    channels: tuple[Channels, Channels, Channels, Channels] = Field(
        default=(16, 32, 48, 64),
        description="Channels at 1500, 750, 375 and 125 steps per window.",
    )
    kernel: int = Field(
        default=7, ge=3, le=31, description="Width of the depthwise convolutions, in steps."
    )
    dilations: tuple[Annotated[int, Field(ge=1, le=62)], ...] = Field(
        default=(1, 2, 4, 8),
        min_length=1,
        max_length=8,
        description="Dilations at 125 steps (0.48 s each), one block each; the defaults let every "
        "step see the whole minute.",
    )


def build_student(config: UNetStudent) -> keras.Model:
    """An untrained student from `waveform` (batch, 6000, 3) to `prediction` (batch, 6000, 3)."""
    from compress.students.unet import build_unet

    return build_unet(config)
