"""What a path found, as a table and a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shrinkage.figures.plotly_figure import to_plotly
from shrinkage.figures.style import Figure
from shrinkage.study.formatting import format_score, format_with_error, pluralize
from shrinkage.study.model.fitted import FittedModel
from shrinkage.study.path.plots import draw_norms, draw_path_scores
from shrinkage.study.path.records import InputFacts, Point
from shrinkage.text_table import to_html, to_paragraphs

MOST_LINES = 9  # of the table, beside its heads
WIDEST = 44  # characters of the names in a line
MOST_NAMED = 12  # inputs in the sentence


@dataclass(frozen=True, repr=False)
class PathResults:
    """A path from no input to the densest useful model; `print` shows a table and a sentence.

    Examples
    --------
    With what `fit_path` gives::

        path = fit_path("data.csv", target="y")
        path.selected  # the names of the inputs to use
        path.describe()  # the same in a few sentences, with the scores
        path.choice.strength, path.points  # every strength, with who enters and leaves
        path.stability_of(path.selected)  # the share of resamples that keep each
        path.plot(), path.plot("norms")  # Plotly figures
        path.draw_scores(), path.draw_norms()  # what they are made of, for a page
        path.model.predict(new_rows)
    """

    data: str
    target: str
    task: str  # "classes" or "numbers"
    metric: str  # its title, as "R²"
    is_higher_better: bool  # of the metric
    settings: dict[str, Any]  # penalty, model, start, adaptive, seeds, resamples
    rows: dict[str, int]  # in the parts: rest, train, validation, test
    inputs: tuple[InputFacts, ...]
    path_inputs: tuple[str, ...]  # the order of `Point.norms`
    points: tuple[Point, ...]  # from the largest strength to the smallest
    best: int  # the place among the points
    chosen: int
    test_score: float  # of the recommended model
    test_error: float
    trivial: dict[str, Any]  # the trivial model: name, validation score, test score
    model: FittedModel  # the recommended one, fitted on all rows but the test part
    notes: tuple[str, ...] = ()
    provenance: dict[str, str] = field(default_factory=dict)

    @property
    def choice(self) -> Point:
        """The point with the fewest inputs within one standard error of the best score."""
        return self.points[self.chosen]

    @property
    def selected(self) -> tuple[str, ...]:
        """The inputs to use, by name."""
        return self.choice.kept

    def stability_of(self, names: Sequence[str]) -> list[tuple[float, str]]:
        """(share of resamples, name) of these inputs, the least stable first."""
        found = [
            (each.stability, each.name)
            for each in self.inputs
            if each.name in names and each.stability is not None
        ]
        return sorted(found, key=lambda pair: pair[0])

    def describe(self) -> str:
        """What to use, in a few sentences."""
        return " ".join(part for part in _sentences(self) if part)

    def draw_scores(self) -> Figure:
        """The traces of the score against the number of inputs, for a page."""
        return draw_path_scores(
            self.points,
            best=self.best,
            chosen=self.chosen,
            trivial=self.trivial,
            is_higher_better=self.is_higher_better,
        )

    def draw_norms(self) -> Figure:
        """The traces of the norm of each input's weights against the strength, for a page."""
        return draw_norms(self.points, self.path_inputs, self.choice)

    def plot(self, values: str = "score") -> Any:
        """A Plotly figure: "score" by the number of inputs, or "norms" of each input's weights.

        Raises
        ------
        ValueError
            If `values` is neither.
        """
        if values == "score":
            return to_plotly(self.draw_scores(), y=f"{self.metric}, validation")
        if values == "norms":
            return to_plotly(self.draw_norms(), y="norm of the weights")
        raise ValueError(f"values must be 'score' or 'norms', got {values!r}")

    def _repr_html_(self) -> str:
        rows, key = tabulate(self)
        return to_html(rows) + to_paragraphs([*key, self.describe()])

    def __repr__(self) -> str:
        return f"{_format_table(self)}\n\n{self.describe()}"


def _sentences(results: PathResults) -> list[str]:
    choice, metric = results.choice, results.metric
    name, level = results.trivial["name"], results.trivial["validation_score"]
    if not choice.kept:
        return [
            "No input is worth keeping: within one standard error of the best score lies "
            f"{name}, with {metric} {format_score(level)} on validation rows."
        ]
    shown = ", ".join(choice.kept[:MOST_NAMED])
    more = len(choice.kept) - MOST_NAMED
    lines = [
        f"Use {len(choice.kept)} of {pluralize(len(results.inputs), 'input')}: {shown}"
        f"{f' and {more} more' if more > 0 else ''}."
    ]
    how = "trained on without a penalty" if choice.relaxed_steps else "as the penalty shrank it"
    lines.append(
        f"The model {how} has {metric} {format_with_error(choice.score, choice.error)} on "
        f"validation rows and {format_with_error(results.test_score, results.test_error)} on the "
        f"test part ({name}: {format_score(level)} and "
        f"{format_score(results.trivial['test_score'])})."
    )
    best = results.points[results.best]
    if len(best.kept) != len(choice.kept):
        lines.append(
            f"The best score, {format_with_error(best.score, best.error)}, takes "
            f"{pluralize(len(best.kept), 'input')}."
        )
    stable = results.stability_of(choice.kept)
    resamples = results.settings["resamples"]
    if stable:
        least = stable[0][0]
        words = ", ".join(f"{who} ({share:.0%})" for share, who in stable[:3] if share < 1)
        lines.append(
            f"All of them are kept in each of {resamples} resamples."
            if least == 1
            else f"Kept least often among {pluralize(resamples, 'resample')}: {words}."
        )
    return lines


def choose_lines(results: PathResults, most: int = MOST_LINES) -> list[int]:
    """The places of points that show the path: the best, the chosen, and changes of the inputs."""
    points = results.points
    changes = [
        place
        for place in range(len(points))
        if place == 0 or len(points[place].kept) != len(points[place - 1].kept)
    ]
    wanted = {results.best, results.chosen}
    room = max(most - len(wanted), 1)
    every = max(1, math.ceil(len(changes) / room))
    return sorted({*wanted, *changes[::-1][::every]})


def tabulate(results: PathResults) -> tuple[list[tuple[str, ...]], list[str]]:
    """The rows of the table with its head, and what its signs mean."""
    rows: list[tuple[str, ...]] = [
        ("strength", "inputs", f"{results.metric}, validation", "entering")
    ]
    before: Sequence[str] = ()
    for place in choose_lines(results):
        point = results.points[place]
        names = [name for name in point.kept if name not in before]
        left = [f"−{name}" for name in before if name not in point.kept]
        score = format_with_error(point.score, point.error) + (" r" if point.relaxed_steps else "")
        mark = "*" if place == results.chosen else "+" if place == results.best else " "
        count = f"{len(point.kept)}{mark}"
        rows.append((f"{point.strength:.3g}", count, score, _shorten([*names, *left])))
        before = point.kept
    key = "* the fewest inputs within one standard error of the best score"
    lines = [f"{key} (+)" if results.best != results.chosen else key]
    if any(results.points[place].relaxed_steps for place in choose_lines(results)):
        lines.append("r the score of models trained on without a penalty, which is better there")
    return rows, lines


def _format_table(results: PathResults) -> str:
    rows, key = tabulate(results)
    lines = [
        f"{strength:>9}  {count:>6}  {score:<17}  {names}".rstrip()
        for strength, count, score, names in rows
    ]
    return "\n".join([*lines, *key])


def _shorten(names: Sequence[str]) -> str:
    text = ""
    for index, name in enumerate(names):
        longer = f"{text}, {name}" if text else name
        if len(longer) > WIDEST and text:
            return f"{text} and {len(names) - index} more"
        text = longer
    return text
