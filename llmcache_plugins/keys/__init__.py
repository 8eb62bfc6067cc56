"""Canonical requests and their digests: pure functions, no I/O."""
