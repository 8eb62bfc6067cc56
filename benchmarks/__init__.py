"""Measures the cache beside the machine's own floor: `python -m benchmarks` writes docs/performance.md and its plot."""
