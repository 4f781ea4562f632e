"""What a path keeps: plain data, written by fitting, read by tables, files and the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """The models at one strength."""

    strength: float
    kept: tuple[str, ...]  # by the model of all rows but the test part
    entering: tuple[str, ...]  # kept here, and not at the next larger strength
    leaving: tuple[str, ...]  # kept at the next larger strength, and not here
    scores: tuple[float, ...]  # of each seed, on its validation part
    counts: tuple[int, ...]  # inputs that each seed's model keeps
    score: float  # mean of `scores`
    error: float  # its standard error; nan for one seed
    norms: tuple[
        float, ...
    ]  # of the weights of each input, in the order of `PathResults.path_inputs`


@dataclass(frozen=True)
class Refit:
    """The chosen inputs without a penalty, from the weights of the path on."""

    scores: tuple[float, ...]  # of each seed, on its validation part, on the inputs that it keeps
    score: float
    error: float
    test_score: float


@dataclass(frozen=True)
class InputFacts:
    """One input of the table along the path."""

    name: str
    columns: int  # of the first layer: one for numbers, one a level for text
    is_kept: bool  # at the chosen strength
    entering: float | None  # the largest strength at which it is kept
    stability: float | None  # the share of resamples that keep it at the chosen strength
    norm: float  # of its weights at the chosen strength
