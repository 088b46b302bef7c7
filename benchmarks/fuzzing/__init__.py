"""Bad input, made on purpose, and a place to try it: for `benchmarks/fuzz.py` and the tests."""
