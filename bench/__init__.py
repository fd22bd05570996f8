"""Benchmarks: what the product takes, what the bare parts below it take in the same run, and the ratio of the two."""
