"""Students: small networks with EQTransformer's input and outputs, made for distillation and int8.

A student is its configuration, which pipelines declare, and a builder in a file of its own. Every
student converts to full-integer int8 TFLite without a loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from baseline.keras import keras

Channels = Annotated[int, Field(ge=4, le=128, multiple_of=4)]

UNET_CHANNELS = {4: (16, 32, 48, 64), 8: (32, 48, 64), 16: (48, 64)}
"""By the stride of the stem: channels at 1500 (stride 4), 750 (4 and 8), 375 and 125 steps."""


class UNetStudent(BaseModel):
    """Depthwise-separable U-Net with sub-pixel upsampling and a context of a minute.

    The defaults are a middle size; docs/distillation.md has that of the released student.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["unet"] = "unet"
    stem: Literal["overlapping", "blocks"] = Field(
        default="overlapping",
        description="The first layer: a convolution that sees 11, 15 or 31 samples at each step, "
        "or one matrix product for each block of stem_stride samples, about half the "
        "multiply-adds.",
    )
    stem_kernel: Literal[1, 3, 5] | None = Field(
        default=None,
        description="With stem: blocks. Blocks that the first layer sees at each step: its own "
        "alone (null or 1), or as many neighbours on each side. Three cost three times the "
        "multiply-adds of the layer and are one matrix product still; an onset at the edge of a "
        "block is heard whole.",
    )
    stem_stride: Literal[4, 8, 16] = Field(
        default=4,
        description="Samples per step after the first layer: 4 (1500 steps), 8 (750) or 16 (375).",
    )
    channels: tuple[Channels, ...] = Field(
        default_factory=lambda valid: UNET_CHANNELS[valid.get("stem_stride", 4)],
        description="Channels at 1500, 750, 375 and 125 steps per window, multiples of four; with "
        "a stem_stride of 8 those at 750, 375 and 125, with 16 those at 375 and 125. Default: the "
        "last of 16, 32, 48 and 64.",
    )
    width: float = Field(
        default=1.0,
        ge=0.1,
        le=4.0,
        description="Multiplies all channels, which are then rounded to multiples of four.",
    )
    saturation: float | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Standard deviations of a window beyond which its samples are cut; null for no "
        "bound. int8 has 255 steps for all of the range: without a bound the peak of a strong S "
        "takes them, and what is left for P and the noise before it is a few.",
    )
    kernel: int = Field(
        default=7, ge=3, le=31, description="Width of the depthwise convolutions, in steps."
    )
    separable: Literal["all", "context"] = Field(
        default="all",
        description="Which convolutions are depthwise-separable: all of them, or those of the "
        "context alone. Full ones hear more and suit a processor with int8 dot products, "
        "which is as quick with them; without, they cost what their multiply-adds say.",
    )
    refine: bool = Field(
        default=True,
        description="Whether levels below the first have a second convolution behind the one that "
        "strides.",
    )
    head_kernel: int | None = Field(
        default=None,
        ge=1,
        le=31,
        description="Width of the last convolution, which is no depthwise one and costs the most; "
        "null for that of the others.",
    )
    context: Literal["dilation", "attention", "none"] = Field(
        default="dilation",
        description="How a step of 125 sees the rest of its minute: dilated convolutions, "
        "self-attention, or not at all.",
    )
    context_kernel: int | None = Field(
        default=None,
        ge=3,
        le=31,
        description="Width of the depthwise convolutions of the context, in steps; null for "
        "`kernel`. TFLite takes about as long for 9 as for 5.",
    )
    dilations: tuple[Annotated[int, Field(ge=1, le=62)], ...] = Field(
        default=(1, 3, 9, 29),
        min_length=1,
        max_length=8,
        description="With context: dilation. Dilations at 125 steps (0.48 s each), one block each; "
        "with a kernel of 7 the defaults let every step see the whole minute.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> UNetStudent:
        levels = len(UNET_CHANNELS[self.stem_stride])
        if len(self.channels) != levels:
            raise ValueError(
                f"a stem_stride of {self.stem_stride} has {levels} levels: channels takes {levels} "
                f"numbers, not {len(self.channels)}"
            )
        if self.stem_kernel is not None and self.stem != "blocks":
            raise ValueError("stem_kernel counts blocks: it needs stem: blocks, not overlapping")
        if "dilations" in self.model_fields_set and self.context != "dilation":
            raise ValueError(f"dilations belong to context: dilation, not {self.context}")
        if self.context_kernel is not None and self.context == "none":
            raise ValueError("context_kernel needs a context: dilation or attention, not none")
        return self

    def scaled_channels(self) -> tuple[int, ...]:
        """`channels` times `width`, in multiples of four, four at least."""
        return tuple(max(4 * round(n * self.width / 4), 4) for n in self.channels)


class EqtStudent(BaseModel):
    """EQTransformer narrowed, of operators that int8 has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["eqt"]
    width: float = Field(
        default=0.5,
        ge=0.1,
        le=1.0,
        description="Multiplies the published filters and units, which are then rounded to "
        "multiples of four.",
    )
    residual_blocks: int = Field(
        default=5, ge=0, le=7, description="Residual convolutional blocks, of the published 7."
    )
    recurrence: Literal["gru", "conv", "none"] = Field(
        default="conv",
        description="In place of LSTMs: GRUs (exports unroll them), dilated separable "
        "convolutions, or no such blocks.",
    )
    recurrent_blocks: int = Field(
        default=1, ge=0, le=3, description="Blocks that read in both directions."
    )
    attention: bool = Field(
        default=True,
        description="Whether there are transformers and, before the P and S decoders, local "
        "attention.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> EqtStudent:
        if "recurrent_blocks" in self.model_fields_set and self.recurrence == "none":
            raise ValueError("recurrent_blocks need a recurrence: gru or conv, not none")
        return self


StudentConfig = Annotated[UNetStudent | EqtStudent, Field(discriminator="kind")]
"""Any student, by its `kind`."""


def build_student(config: StudentConfig) -> keras.Model:
    """An untrained student from `waveform` (batch, 6000, 3) to `prediction` (batch, 6000, 3)."""
    if isinstance(config, EqtStudent):
        from compress.students.eqt import build_eqt

        return build_eqt(config)
    from compress.students.unet import build_unet

    return build_unet(config)
