"""A drawing of a path of strengths, where Matplotlib is installed."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted


def plot_path(estimator: Any, ax: Any = None) -> Any:
    """Scores with their standard errors, and the number of kept inputs, against the strength."""
    check_is_fitted(estimator)
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "plot_path draws with Matplotlib, which is not installed: pip install matplotlib, or "
            "draw strengths_, scores_path_ and n_selected_path_ with another library"
        ) from None
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    scores, strengths = estimator.scores_path_, estimator.strengths_
    n_folds = scores.shape[1]
    errors = scores.std(axis=1, ddof=1) / n_folds**0.5 if n_folds > 1 else None
    ax.errorbar(strengths, scores.mean(axis=1), yerr=errors, marker="o", markersize=3)
    ax.axvline(estimator.strength_, color="0.5", linestyle="--", linewidth=1)
    ax.set(xscale="log", xlabel="strength", ylabel=f"score, mean of {n_folds} folds")
    kept = ax.twinx()
    kept.step(strengths, estimator.n_selected_path_, where="mid", color="C1", linewidth=1)
    kept.set_ylabel("kept inputs", color="C1")
    kept.set_ylim(bottom=0)
    return ax
