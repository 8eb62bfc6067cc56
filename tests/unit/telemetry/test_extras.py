"""Recorders that need a package say which extra brings it."""

from __future__ import annotations

import sys

import pytest

from llmcache_plugins import MissingExtraError, telemetry


@pytest.mark.parametrize(
    ("name", "module", "package", "extra"),
    [
        ("PrometheusCollector", "prometheus", "prometheus_client.core", "prometheus"),
        ("OpenTelemetryRecorder", "opentelemetry", "opentelemetry.metrics", "otel"),
        ("observe_cache", "opentelemetry", "opentelemetry.metrics", "otel"),
        ("LatencyRecorder", "sketch", "ddsketch", "sketch"),
    ],
)
def test_a_missing_package_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, module: str, package: str, extra: str
) -> None:
    monkeypatch.delitem(sys.modules, f"llmcache_plugins.telemetry.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'llmcache-plugins\[{extra}\]'"):
        getattr(telemetry, name)


def test_every_name_is_there_and_no_other() -> None:
    for package in ("prometheus_client", "opentelemetry", "ddsketch"):
        pytest.importorskip(package)
    assert all(getattr(telemetry, name) is not None for name in telemetry.__all__)
    with pytest.raises(AttributeError, match="no attribute 'PrometheusRecorder'"):
        telemetry.PrometheusRecorder  # noqa: B018  # the access is the test
