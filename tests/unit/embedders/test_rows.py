from __future__ import annotations

import numpy as np
import pytest

from llmcache_plugins.embedders._rows import unit_rows
from llmcache_plugins.errors import EmbedderError


def rows(raw, count=2, dimension=None):
    return unit_rows(raw, count=count, dimension=dimension, source="model")


def test_rows_become_float32_of_unit_length():
    unit = rows([[3, 4], [0, -2]])
    assert unit.dtype == np.float32
    assert unit.tolist() == [[np.float32(0.6), np.float32(0.8)], [0.0, -1.0]]


def test_tiny_numbers_keep_their_direction():
    assert rows([[1e-30, 1e-30]], count=1)[0] == pytest.approx([2**-0.5, 2**-0.5])


@pytest.mark.parametrize(
    "raw",
    [
        [[1.0, 0.0]],  # one row too few
        [[1.0, 0.0]] * 3,  # one too many
        [1.0, 0.0],  # one vector instead of rows
        [[], []],
        [[1.0, 0.0], [1.0]],  # ragged
        [["a", "b"], ["c", "d"]],
        None,
        [[[1.0]], [[1.0]]],
    ],
)
def test_wrong_shapes_are_errors(raw):
    with pytest.raises(EmbedderError, match="model"):
        rows(raw)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], [1e200, 1e200]])
def test_zero_and_not_finite_vectors_are_errors(bad):
    with pytest.raises(EmbedderError, match="zero or not finite"):
        rows([[1.0, 0.0], bad])


def test_another_dimension_than_before_is_an_error():
    assert rows([[1.0, 0.0]], count=1, dimension=2).shape == (1, 2)
    with pytest.raises(EmbedderError, match="earlier ones had 3"):
        rows([[1.0, 0.0]], count=1, dimension=3)
