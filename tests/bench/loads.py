"""Loads as the generator returns them."""

from typing import Any

from bench.load import Load


def a_load(**changes: Any) -> Load:
    """A load of ten answers; `changes` replace fields."""
    values: dict[str, Any] = {
        "rate": 10.0,
        "answers": {"201": 10},
        "lost": 0,
        "p50": 1.0,
        "p99": 2.0,
        "longest": 3.0,
    }
    return Load(**(values | changes))
