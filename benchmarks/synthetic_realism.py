"""How real do the synthetic waveforms look to a picker that was trained on real ones?

Runs a published EQTransformer on windows of `SyntheticSource`, each record cut once at a random
place with P at least 3 s after the start and S inside, and compares its highest peaks with the
onsets that the generator knows. Nothing is filtered.

Repeat:
    python -m benchmarks.synthetic_realism --json benchmarks/results/synthetic_realism.json
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from baseline.keras import keras
from baseline.published import PUBLISHED, load_published
from compress.data.records import SAMPLING_RATE_HZ, Record
from compress.data.synthetic import GENERATOR_VERSION, SyntheticSource
from compress.data.windows import WINDOW_SAMPLES, cut

DETECTION_THRESHOLD = 0.3
PICK_THRESHOLD = 0.1
TOLERANCES_S = (0.5, 0.1)
SNR_EDGES_DB = (3, 8, 15, 25, 35)
MIN_P_S = 3.0
MIN_AFTER_S_S = 1.0
BATCH = 32
PACKAGES = ("tensorflow", "tf-keras", "numpy", "scipy")

GOALS = {"detected": 0.91, "p_within_0.5s": 0.965, "s_within_0.5s": 0.988}
"""What an earlier, simpler generator of the same kind reached over SNR 3-35 dB."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default="eqt-conservative", choices=sorted(PUBLISHED))
    parser.add_argument("--earthquakes", type=int, default=2000, help="earthquake windows")
    parser.add_argument("--noise", type=int, default=512, help="noise windows of either kind")
    parser.add_argument("--seed", type=int, default=20_260, help="of records and placement")
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()

    model = load_published(arguments.model)
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.synthetic_realism", *sys.argv[1:]]),
        "date_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "generator_version": GENERATOR_VERSION,
        "model": arguments.model,
        "seed": arguments.seed,
        "thresholds": {"detection": DETECTION_THRESHOLD, "pick": PICK_THRESHOLD},
        "goals": GOALS,
        "earthquakes": earthquake_scores(model, arguments.earthquakes, arguments.seed),
        "noise": noise_scores(model, arguments.noise, arguments.seed),
    }
    print_tables(result)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def predict(model: keras.Model, windows: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Detection, P and S probabilities, shape (windows, 6000, 3)."""
    predictions = []
    while batch := list(islice(windows, BATCH)):
        predictions.append(model.predict_on_batch(np.stack(batch)))
    return np.concatenate(predictions)


def random_start(rng: np.random.Generator, record: Record) -> int:
    """First sample of a window with P at least 3 s after its start and S 1 s before its end."""
    assert record.p_sample is not None and record.s_sample is not None
    latest = min(
        record.p_sample - MIN_P_S * SAMPLING_RATE_HZ, len(record.waveform) - WINDOW_SAMPLES
    )
    earliest = max(record.s_sample + MIN_AFTER_S_S * SAMPLING_RATE_HZ - WINDOW_SAMPLES, 0)
    return int(rng.integers(int(np.ceil(earliest)), int(latest) + 1))


def earthquake_scores(model: keras.Model, count: int, seed: int) -> dict[str, Any]:
    """Scores on `count` earthquake windows, overall and by signal-to-noise ratio."""
    source = SyntheticSource(count, seed, noise_fraction=0.0)
    rng = np.random.default_rng([seed, 1])
    snr_db = np.empty(count)
    onsets = np.empty((count, 2))

    def windows() -> Iterator[NDArray[np.float32]]:
        for index in range(count):
            record = source[index]
            start = random_start(rng, record)
            snr_db[index] = record.snr_db
            onsets[index] = record.p_sample - start, record.s_sample - start  # type: ignore[operator]
            yield cut(record.waveform, start)

    predictions = predict(model, windows())
    detected = predictions[..., 0].max(axis=1) >= DETECTION_THRESHOLD
    residuals_s = (predictions[..., 1:].argmax(axis=1) - onsets) / SAMPLING_RATE_HZ
    bins = {
        f"{low}-{high} dB": _scores(detected[chosen], residuals_s[chosen])
        for low, high in pairwise(SNR_EDGES_DB)
        if (chosen := (snr_db >= low) & (snr_db < high)).any()
    }
    return {"all": _scores(detected, residuals_s), "by_snr": bins}


def _scores(detected: NDArray[np.bool_], residuals_s: NDArray[np.float64]) -> dict[str, Any]:
    """Shares of all windows; residuals (picked minus true, in s) of the picks within 0.5 s."""
    scores: dict[str, Any] = {"windows": len(detected), "detected": float(detected.mean())}
    for phase, residuals in zip("ps", residuals_s.T, strict=True):
        for tolerance in TOLERANCES_S:
            within = np.abs(residuals) <= tolerance
            scores[f"{phase}_within_{tolerance}s"] = float(within.mean())
        picked = residuals[np.abs(residuals) <= TOLERANCES_S[0]]
        scores[f"{phase}_residual_within_{TOLERANCES_S[0]}s"] = {
            "mean": float(picked.mean()),
            "median": float(np.median(picked)),
            "standard_deviation": float(picked.std()),
            "mean_absolute": float(np.abs(picked).mean()),
        }
    return scores


def noise_scores(model: keras.Model, count: int, seed: int) -> dict[str, Any]:
    """Shares of false alarms on `count` ordinary noise windows and as many with bursts."""
    source = SyntheticSource(16 * count, seed + 1, noise_fraction=1.0)
    rng = np.random.default_rng([seed, 2])
    scores = {}
    for kind, hard in (("ordinary", False), ("hard negatives", True)):
        chosen = (i for i in range(len(source)) if source.is_hard_negative(i) is hard)
        waveforms = (source[index].waveform for index in islice(chosen, count))
        windows = (
            cut(waveform, int(rng.integers(len(waveform) - WINDOW_SAMPLES + 1)))
            for waveform in waveforms
        )
        highest = predict(model, windows).max(axis=1)
        scores[kind] = {
            "windows": len(highest),
            "detection": float((highest[:, 0] >= DETECTION_THRESHOLD).mean()),
            "p": float((highest[:, 1] >= PICK_THRESHOLD).mean()),
            "s": float((highest[:, 2] >= PICK_THRESHOLD).mean()),
        }
    return scores


def print_tables(result: dict[str, Any]) -> None:
    """Print the scores, the overall ones beside the goals."""
    console = Console()
    columns = ("detected", "p_within_0.5s", "p_within_0.1s", "s_within_0.5s", "s_within_0.1s")
    earthquakes = result["earthquakes"]

    table = Table(title=f"{result['model']} on synthetic earthquakes")
    for column in ("SNR", "windows", *columns):
        table.add_column(column.replace("_", " "), justify="right")
    for name, scores in {**earthquakes["by_snr"], "all": earthquakes["all"]}.items():
        table.add_row(name, str(scores["windows"]), *(f"{scores[c]:.1%}" for c in columns))
    goals = (f"{GOALS[c]:.1%}" if c in GOALS else "" for c in columns)
    table.add_row("goal", "", *goals)
    console.print(table)

    for phase in "ps":
        statistics = earthquakes["all"][f"{phase}_residual_within_{TOLERANCES_S[0]}s"]
        shown = ", ".join(
            f"{key.replace('_', ' ')} {value:+.3f} s" for key, value in statistics.items()
        )
        console.print(f"{phase.upper()} residuals within {TOLERANCES_S[0]} s: {shown}")

    table = Table(title=f"{result['model']} on synthetic noise: windows with a false alarm")
    for column in ("noise", "windows", "detection", "p", "s"):
        table.add_column(column, justify="right")
    for name, scores in result["noise"].items():
        shares = (f"{scores[column]:.1%}" for column in ("detection", "p", "s"))
        table.add_row(name, str(scores["windows"]), *shares)
    console.print(table)


if __name__ == "__main__":
    main()
