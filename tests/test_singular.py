"""The main directions are those of the whole decomposition."""

import numpy as np
import pytest
from scipy import sparse

from shortlist.singular import right_singular


def matrix(rows: int, columns: int) -> sparse.csr_matrix:
    """Sparse, with singular values that fall slowly."""
    rng = np.random.default_rng(3)
    table = rng.random((rows, columns)) * (rng.random((rows, columns)) < 0.1)
    return sparse.csr_matrix(table * (1 + np.arange(columns)) ** -0.3, dtype=np.float32)


@pytest.mark.parametrize("shape", [(700, 300), (300, 700)])
def test_they_keep_what_the_best_directions_keep(shape: tuple[int, int]) -> None:
    table = matrix(*shape)
    values = np.linalg.svd(table.toarray(), compute_uv=False)[:40]

    found = right_singular(table, 40, seed=7)

    assert found.shape == (shape[1], 40)
    np.testing.assert_allclose(found.T @ found, np.eye(40), atol=1e-4)
    kept = np.linalg.norm(table @ found, axis=0)
    assert (kept[:-1] >= kept[1:] * 0.9999).all()
    # Four steps find 99 % of what there is to be kept, of a spectrum as flat as this.
    assert (kept**2).sum() > 0.99 * (values**2).sum()


def test_where_there_are_few_they_are_exact() -> None:
    table = matrix(30, 7)
    _, _, exact = np.linalg.svd(table.toarray(), full_matrices=False)
    found = right_singular(table, 5, seed=7)
    np.testing.assert_allclose(np.abs((exact[:5] * found.T).sum(1)), 1, atol=1e-4)


def test_the_same_seed_gives_the_same() -> None:
    table = matrix(90, 60)
    np.testing.assert_array_equal(right_singular(table, 8, seed=7), right_singular(table, 8, seed=7))


def test_there_are_no_more_than_rows_or_columns_and_nothing_gives_zeros() -> None:
    assert right_singular(matrix(3, 60), 8, seed=7).shape == (60, 3)
    assert right_singular(matrix(60, 3), 8, seed=7).shape == (3, 3)
    nothing = sparse.csr_matrix(np.zeros((5, 4), np.float32))
    assert not right_singular(nothing, 3, seed=7).any()
    assert right_singular(nothing, 3, seed=7).shape == (4, 1)
