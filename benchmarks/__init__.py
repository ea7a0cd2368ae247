"""Benchmarks on loopback: ``python -m benchmarks``; docs/performance.md has figures."""
