"""Floors: minimal baselines that the rows are compared with."""
