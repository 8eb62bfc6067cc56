"""The public names, pinned; and what importing them costs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

import pytest

import llmcache_plugins

PUBLIC = {
    "ABTest", "Answer", "Arm", "Bypass", "CacheConfig", "CacheStats", "Clock", "CodecError", "ConfigError", "Embedder",
    "EmbedderError", "Entry", "EventRule", "Explanation", "Guard", "Hit", "Invalidation",
    "InvalidationProgress", "InvalidationReport", "Judge", "Judgement", "LLMCacheError", "Labelled", "LexicalMatcher",
    "Miss", "MissReason", "MissingExtraError", "NearMiss", "NearMissRecord", "Outcome", "Profile", "Profiler",
    "QueryContext", "Recorder", "Regression",
    "Reported", "Request", "Rollout", "Selector", "SemanticCache", "Store", "StoreCorrupt", "StoreError",
    "StoreUnavailable", "Tier", "TierConfig", "UpdateOutcome", "Usage", "Validation", "Validator", "Verdict",
    "Verifier", "__version__", "default_cache", "load_event_rules", "open_cache", "set_default_cache",
}  # fmt: skip


def test_public_names_are_pinned() -> None:
    assert set(llmcache_plugins.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(llmcache_plugins, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'SemantikCache'"):
        llmcache_plugins.SemantikCache  # noqa: B018  # the access is the test


def test_config_names_are_pinned() -> None:
    assert llmcache_plugins.CacheConfig.names() == (
        "namespace",
        "ttl",
        "ttl_by_volatility",
        "ttl_by_query_type",
        "ttl_by_tag",
        "tag_patterns",
        "tolerance",
        "max_error_rate",
        "similarity_threshold",
        "max_error_rate_by_query_type",
        "max_error_rate_by_namespace",
        "embedder_timeout",
        "verifier_timeout",
        "judge_timeout",
        "judge_limit",
        "judge_budget",
        "judge_cost",
        "standalone_turns",
        "resolver_timeout",
        "policy",
        "shadow_rate",
        "answer_similarity",
        "mode",
        "fraction",
        "split_by",
        "rollout",
        "use_guards",
        "max_candidates",
        "near_misses",
        "near_miss_log",
        "near_miss_file",
        "regression_file",
        "max_entries",
        "max_bytes",
        "max_answer_bytes",
        "store_truncated",
        "store_text",
        "encryption_key",
        "encryption_address_key",
        "encryption_vectors",
        "fail_open",
        "single_flight",
        "single_flight_timeout",
        "single_flight_across_processes",
        "followers_on_failure",
        "join_paraphrases",
        "stale_while_revalidate",
        "lazy_stale_limit",
        "refresh_ahead",
        "refresh_ahead_reads",
        "refresh_workers",
        "refresh_queue",
        "sweep_interval",
        "maintenance",
        "maintenance_interval",
        "node_id",
        "stats_interval",
        "embedding_cache_entries",
        "embedding_cache_file",
        "embedding_cache_file_entries",
    )


def run_python(code: str) -> Any:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_import_loads_no_optional_package() -> None:
    loaded = run_python(
        "import sys, json, llmcache_plugins; llmcache_plugins.open_cache; print(json.dumps(sorted(sys.modules)))"
    )
    optional = {
        "langchain_core",
        "llama_index",
        "anthropic",
        "onnxruntime",
        "tokenizers",
        "torch",
        "rich",
        "redis",
        "cryptography",
        "prometheus_client",
        "opentelemetry",
        "ddsketch",
    }
    assert not {name.split(".")[0] for name in loaded} & optional


def test_matching_by_words_loads_numpy_alone() -> None:
    loaded = run_python(
        "import sys, json; from llmcache_plugins import LexicalMatcher; LexicalMatcher().score('a b', 'b a'); "
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names)))"
    )
    assert {name for name in loaded if not name.startswith("_")} <= {"llmcache_plugins", "numpy"}


def test_import_costs_little_more_than_numpy() -> None:
    """Under 150 ms more than `import numpy` is promised. The median of five, with numpy's own time in the same process
    on top, so that a busy machine stretches both sides."""
    code = (
        "import json, time; a = time.perf_counter(); import numpy; b = time.perf_counter(); import llmcache_plugins; "
        "c = time.perf_counter(); print(json.dumps([b - a, c - b]))"
    )
    runs = [run_python(code) for _ in range(5)]
    numpy, own = (statistics.median(column) for column in zip(*runs, strict=True))
    assert own < numpy + 0.15
