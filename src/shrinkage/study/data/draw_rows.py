"""Draw rows at random, in shares of every class: the rows that scikit-learn's splitters draw.

They are drawn here because importing scikit-learn takes longer than many a study.
"""

from __future__ import annotations

import numpy as np

Drawn = tuple[np.ndarray, np.ndarray]  # the indices that were not drawn, and those that were


def draw_rows(count: int, size: int, seed: int) -> Drawn:
    """Draw `size` of `count` rows, as `train_test_split` does.

    >>> draw_rows(5, 2, seed=0)
    (array([1, 3, 4]), array([2, 0]))
    """
    order = np.random.RandomState(seed).permutation(count)
    return order[size:], order[:size]


def draw_stratified(labels: np.ndarray, size: int, seed: int) -> Drawn:
    """Draw `size` rows, of each class its share, as `train_test_split(stratify=labels)` does.

    >>> labels = np.array([0, 0, 1, 1, 1, 1])
    >>> kept, drawn = draw_stratified(labels, 3, seed=0)
    >>> labels[kept].tolist(), sorted(labels[drawn].tolist())
    ([0, 1, 1], [0, 1, 1])
    """
    random = np.random.RandomState(seed)
    _, label, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept_counts = _apportion(counts, len(labels) - size, random)
    # What remains is drawn whole, but a product of floats may be just below it: that draws as well.
    drawn_counts = _apportion(counts - kept_counts, size, random)
    kept, drawn = [], []
    for index, count in enumerate(counts):
        rows = np.flatnonzero(label == index)[random.permutation(count)]
        end = kept_counts[index]
        kept.append(rows[:end])
        drawn.append(rows[end : end + drawn_counts[index]])
    return random.permutation(np.concatenate(kept)), random.permutation(np.concatenate(drawn))


def _apportion(counts: np.ndarray, total: int, random: np.random.RandomState) -> np.ndarray:
    """Whole shares of a total in proportion to counts: the largest remainders are rounded up."""
    exact = counts / counts.sum() * total
    shares = np.floor(exact)
    remainders = exact - shares
    left = int(total - shares.sum())
    while left > 0:
        tied = np.flatnonzero(remainders == remainders.max())
        chosen = random.choice(tied, size=min(left, len(tied)), replace=False)
        shares[chosen] += 1
        remainders[tied] = -1.0
        left -= len(chosen)
    return np.asarray(shares, dtype=np.int64)
