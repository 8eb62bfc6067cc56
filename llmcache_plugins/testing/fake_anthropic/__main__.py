"""`python -m llmcache_plugins.testing.fake_anthropic`: serve the fake API until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading

from llmcache_plugins.testing.fake_anthropic.server import FakeAnthropic


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake of the Anthropic Messages API on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--frame-delay", type=float, default=0.0, help="seconds between the frames of a stream")
    options = parser.parse_args()
    with FakeAnthropic(port=options.port, latency=options.latency, frame_delay=options.frame_delay) as server:
        sys.stdout.write(f"fake Anthropic API on {server.base_url} (set ANTHROPIC_BASE_URL to it); Ctrl-C stops it\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
