"""A bundle as one of SeisBench's models: `annotate`, `classify`, and what is built on them.

SeisBench and PyTorch are not among this project's requirements. SeisBench resamples, cuts, stacks
and picks as it does with its own EQTransformer; band-pass, normalisation and network are those of
this project.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from baseline.contract import COMPONENTS, DETECTION, SAMPLING_RATE_HZ, WINDOW_SAMPLES, P, S
from baseline.errors import InputError
from compress.data.band_pass import band_pass
from compress.data.windows import normalise
from compress.evaluation.answers import load_numeric_runner
from compress.picking.preparation import BAND_HZ, Preparation
from export.bundle import read_bundle
from export.trial import require_runnable

try:
    import torch
    from seisbench.models import EQTransformer, WaveformModel
except ImportError as error:
    raise InputError(
        f"SeisBench cannot be imported ({error}).", "Install it with pip install seisbench."
    ) from None

if TYPE_CHECKING:
    from obspy import Stream


class BundleModel(WaveformModel):
    """A bundle that takes and gives what `seisbench.models.EQTransformer` does.

    The arguments of `annotate` and `classify` and their defaults are EQTransformer's, but for the
    thresholds, whose defaults are the bundle's.

    Args:
        bundle: its folder.
        band_hz: the corners of the band-pass; None leaves recordings as they are.
        threads: that the runtime may use.

    Raises:
        InputError: not a bundle, a damaged one, a model that cannot be run, or such a band-pass
            cannot be.
    """

    device = torch.device("cpu")
    phases = "PS"

    # They need no more of EQTransformer than `phases` and what its `forward` gives.
    _annotate_args = EQTransformer._annotate_args
    annotate_batch_post = EQTransformer.annotate_batch_post
    classify_aggregate = EQTransformer.classify_aggregate

    def __init__(
        self,
        bundle: str | Path,
        band_hz: tuple[float, float] | None = BAND_HZ,
        threads: int = 1,
    ) -> None:
        metadata, model = read_bundle(Path(bundle))
        super().__init__(
            citation=metadata.citation,
            component_order=COMPONENTS,
            sampling_rate=SAMPLING_RATE_HZ,
            output_type="array",
            in_samples=WINDOW_SAMPLES,
            pred_sample=(0, WINDOW_SAMPLES),
            labels=["Detection", *self.phases],
            default_args={
                "detection_threshold": metadata.thresholds["detection"],
                "P_threshold": metadata.thresholds["p"],
                "S_threshold": metadata.thresholds["s"],
            },
        )
        self._band_hz = Preparation(band_hz).band_hz
        require_runnable(model)
        self._runner = load_numeric_runner(model, threads)
        # `annotate_async` may run several times at once; a TFLite interpreter may not.
        self._lock = Lock()

    def annotate_stream_pre(self, stream: Stream, argdict: dict[str, Any]) -> Stream:
        """Take traces apart where they are masked or not finite, resample them, band-pass them."""
        for trace in stream:
            trace.data = np.ma.masked_invalid(trace.data)
        stream.traces = stream.split().detrend("demean").traces
        super().annotate_stream_pre(stream, argdict)
        for trace in stream:
            trace.data = band_pass(trace.data[:, np.newaxis], self._band_hz)[:, 0]
        return stream

    def annotate_batch_pre(self, batch: torch.Tensor, argdict: dict[str, Any]) -> torch.Tensor:
        """Normalise windows (batch, 3, 6000)."""
        return torch.from_numpy(normalise(batch.mT.numpy())).mT

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Probabilities of detection, P and S, each (batch, 6000).

        Args:
            windows: normalised, (batch, 3, 6000), components in the order E, N, Z.
        """
        with self._lock:
            answers = torch.from_numpy(self._runner(np.ascontiguousarray(windows.mT.numpy())))
        return answers[..., DETECTION], answers[..., P], answers[..., S]
