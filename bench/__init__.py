"""Benchmarks: the product's figures, those of a minimal baseline (floor) in the same run, and the ratio of the two."""
