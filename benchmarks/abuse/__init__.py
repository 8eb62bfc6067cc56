"""Attacks on a cache at default settings, tried by program: what comes of each stands in docs/security.md."""
