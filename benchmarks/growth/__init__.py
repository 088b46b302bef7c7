"""What `benchmarks.scaling` and `benchmarks.long_load` measure, and how."""
