"""What every model in this project takes and gives: EQTransformer's window and its prediction."""

SAMPLING_RATE_HZ = 100.0
"""Sampling rate of every record and window, as EQTransformer was trained."""

WINDOW_SAMPLES = 6000
"""Length of a window: 60 s."""

COMPONENTS = "ENZ"
"""Component order of every record and window: east, north, vertical."""

OUTPUTS = ("detection", "p", "s")
"""Order of the last axis of every prediction."""

DETECTION, P, S = range(len(OUTPUTS))
"""Their places in it."""

WINDOW_SHAPE = (WINDOW_SAMPLES, len(COMPONENTS))
PREDICTION_SHAPE = (WINDOW_SAMPLES, len(OUTPUTS))

NORMALISATION = "demeaned, divided by the standard deviation of each component over the window"
"""In words, for the metadata of a bundle; compress.data.windows does it."""
