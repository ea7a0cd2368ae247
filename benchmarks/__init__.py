"""Benchmarks: figures as ratios from one run."""
