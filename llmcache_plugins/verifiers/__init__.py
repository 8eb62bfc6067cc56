"""Verifiers: they read the asked and the stored question together, where the confidence alone does not decide."""

from __future__ import annotations

from llmcache_plugins.verifiers.function import FunctionVerifier
from llmcache_plugins.verifiers.onnx import OnnxVerifier

__all__ = ["FunctionVerifier", "OnnxVerifier"]
