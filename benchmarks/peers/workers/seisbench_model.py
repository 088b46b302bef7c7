"""A model of SeisBench on PyTorch: `seisbench_model.py CLASS WINDOWS THREADS`.

Its weights are random, which does not change what it costs. PhaseNet and PhaseNetLight take windows
of 3001 samples: two of them, of which two samples are in both, make one window of 6000.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from serving import Way, serve


def load(name: str, threads: int) -> Way:
    """The model in evaluation mode, without gradients."""
    import torch
    from seisbench import models

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    network = getattr(models, name)().eval()
    samples = network.in_samples

    def prepare(windows: NDArray[np.float32]) -> torch.Tensor:
        channels = np.swapaxes(windows, 1, 2)
        pieces = -(-channels.shape[2] // samples)
        starts = np.linspace(0, channels.shape[2] - samples, pieces).astype(int)
        cut = np.concatenate([channels[..., start : start + samples] for start in starts])
        return torch.from_numpy(np.ascontiguousarray(cut))

    @torch.inference_mode()
    def run(waveforms: torch.Tensor) -> NDArray[np.float32]:
        made = network(waveforms)
        return (torch.stack(made, dim=1) if isinstance(made, tuple) else made).numpy()

    def facts() -> dict[str, int]:
        stored = io.BytesIO()
        torch.save(network.state_dict(), stored)
        one_window = prepare(np.zeros((1, 6000, 3), np.float32))
        return {
            "file_bytes": stored.getbuffer().nbytes,
            "multiply_adds": multiply_adds(run, one_window),
        }

    return Way(run, prepare, ("seisbench", "torch"), facts)


def multiply_adds(run: Callable[[Any], object], waveforms: Any) -> int:
    """Of one call, counted by PyTorch from the operators it runs."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # oneDNN's recurrent layer is one operator that PyTorch does not count; its own is products.
    with (
        warnings.catch_warnings(action="ignore"),
        torch.backends.mkldnn.flags(enabled=False),
        FlopCounterMode(display=False) as counter,
    ):
        run(waveforms)
    return counter.get_total_flops() // 2


if __name__ == "__main__":
    serve(load)
