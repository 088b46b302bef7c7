"""Picks a file with SeisBench, for `benchmarks.picking_day`: FILE to CSV on one thread.

Runs where SeisBench is installed; of this project it imports nothing but with `--bundle`.
"""

from __future__ import annotations

import argparse

import obspy
import torch
from seisbench.models import EQTransformer


def main() -> None:
    """Pick with a bundle, or with SeisBench's EQTransformer and random weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("csv")
    parser.add_argument("--bundle")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.bundle:
        from compress.picking.seisbench_model import BundleModel

        model = BundleModel(arguments.bundle)
    else:
        model = EQTransformer()
    result = model.classify(obspy.read(arguments.file), overlap=0.5)
    result.picks.to_dataframe().to_csv(arguments.csv)


if __name__ == "__main__":
    main()
