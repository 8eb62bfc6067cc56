"""What breaks, tried many times, and what was lost: `python -m benchmarks.reliability` writes docs/reliability.md."""
