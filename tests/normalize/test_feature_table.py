"""Rows of features: the same bits through Arrow, JSON and the bytes of the kernel."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from buckler.errors import InputError
from buckler.normalize import FeatureSchema, FeatureTable

SCHEMA = FeatureSchema(("size", "depth"), ("kind",))
NUMBERS = st.floats(width=32, allow_infinity=False)


@given(
    hn.arrays(np.float32, st.tuples(st.integers(0, 9), st.just(2)), elements=NUMBERS),
    st.lists(st.integers(0, 1020), min_size=9, max_size=9),
)
def test_every_form_gives_the_same_bits(numbers, kinds):
    kind = np.array(kinds[: len(numbers)], np.float32)
    table = FeatureTable(SCHEMA, np.column_stack([numbers, kind]))
    expected = list(table.texts)
    assert list(FeatureTable.from_texts(SCHEMA, table.texts).texts) == expected
    assert list(FeatureTable.from_arrow(SCHEMA, table.to_arrow()).texts) == expected
    for row, normalized in zip(table.to_json(), table.values, strict=True):
        read = np.frombuffer(SCHEMA.normalize(row), "<f4")
        np.testing.assert_array_equal(read, normalized)


def test_a_null_is_a_row_of_missing_values_and_slices_keep_their_rows():
    column = pa.array([[1, 2, 3], None, [4, 5, 6]], pa.list_(pa.float32(), 3))
    table = FeatureTable.from_arrow(SCHEMA, pa.chunked_array([column[1:], column[:1]]))
    assert np.isnan(table.values[0]).all()
    assert table.values[1:].tolist() == [[4, 5, 6], [1, 2, 3]]
    assert FeatureTable.concatenate([table, table.take(np.array([2]))]).values.shape == (4, 3)


def test_rows_of_other_features_are_refused():
    with pytest.raises(InputError, match="other features"):
        FeatureTable(SCHEMA, np.zeros((2, 4), np.float32))
