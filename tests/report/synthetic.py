"""Studies made up for the report's tests: the shape of real ones, without the training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from shrinkage.study.records import Choice, FeatureUse, Record, Surface, Trial
from shrinkage.study.results import Results

METHODS = (
    "none",
    "l2@coupled",
    "l2@decoupled",
    "l1@coupled",
    "l1@proximal",
    "elastic_net@proximal",
    "group_lasso@proximal",
)
FEW = ("none", "l2@coupled", "l1@proximal")  # which are drawn sooner
STRENGTHS = tuple(float(strength) for strength in np.logspace(-5, -1, 9))
NEURONS = 64
EPOCHS = 120


def study(
    methods: tuple[str, ...] = METHODS,
    strengths: tuple[float, ...] = STRENGTHS,
    seeds: int = 3,
    *,
    classes: tuple[str, ...] = ("inner", "middle", "outer"),
    name: str = "spiral",
) -> Results:
    """A finished study of a task with two features."""
    records = [
        record(method, strength, seed)
        for method in methods
        for strength in ((0.0,) if method == "none" else strengths)
        for seed in range(seeds)
    ]
    choices = [choice for method in methods for choice in _choices(method, records, len(classes))]
    return Results(
        question={
            "data": name,
            "target": None,
            "model": "mlp:64",
            "methods": list(methods),
            "strengths": list(strengths),
            "seeds": seeds,
            "optimizer": "adam",
            "lr": 0.01,
            "epochs": EPOCHS,
        },
        provenance={
            "command": f"shrinkage compare {name} --seeds {seeds}",
            "started": "2031-05-06T07:08:09",
            "python": "3.12.1",
            "torch": "2.13.0",
            "numpy": "2.4.0",
            "shrinkage": "0.1.0",
        },
        data={
            "name": name,
            "task": "classes",
            "rows": 600,
            "features": 2,
            "classes": list(classes),
            "train": 360,
            "validation": 120,
            "test": 120,
            "points": points(len(classes)),
        },
        records=records,
        choices=choices,
        verdict="Use l1@proximal at 1e-3: its validation accuracy is within one standard error "
        "of the best, and 74% of its weights are exactly zero.",
    )


def record(method: str, strength: float, seed: int) -> Record:
    """What a trial might have come to."""
    rng = np.random.default_rng([len(method), round(1e7 * strength), seed])
    place = np.log10(strength) if strength > 0 else -6.0
    height = 0.03 + 0.01 * _place(method)
    score = 0.86 + height * np.exp(-((place + 3) ** 2)) - 0.55 / (1 + np.exp(-4 * (place + 1.4)))
    sparse = "proximal" in method
    zeros = float(1 / (1 + np.exp(-2.2 * (place + 3.3)))) if sparse and strength > 0 else 0.0
    state = _state(rng, zeros, spread=0.9 - 0.1 * (place + 6))
    epochs = np.arange(1, EPOCHS + 1)
    size = sum(np.abs(array).sum() for array in state.values())
    return Record(
        trial=Trial(method, strength, seed),
        status="ok",
        reason="",
        train_score=float(min(1.0, score + 0.05)),
        validation_score=float(score + 0.012 * rng.standard_normal()),
        zeros=float(np.mean(np.concatenate([w.ravel() for w in _weights(state)]) == 0)),
        weights=sum(w.size for w in _weights(state)),
        dead_neurons=int(NEURONS * zeros**3),
        neurons=NEURONS,
        seconds=float(0.4 + 0.1 * rng.random()),
        history={
            "epoch": epochs.astype(float).tolist(),
            "data_loss": (0.15 + 0.9 * np.exp(-epochs / 25) + 0.3 * strength).tolist(),
            "penalty": (strength * size * (1 - np.exp(-epochs / 30))).tolist(),
            "validation_score": (score * (1 - np.exp(-epochs / 15))).tolist(),
        },
        state=state,
    )


def _place(method: str) -> int:
    return METHODS.index(method) if method in METHODS else 0


def _state(rng: np.random.Generator, zeros: float, spread: float) -> dict[str, np.ndarray]:
    shapes = {"0.weight": (NEURONS, 2), "0.bias": (NEURONS,), "2.weight": (3, NEURONS)}
    state = {name: spread * rng.standard_normal(shape) for name, shape in shapes.items()}
    for weights in _weights(state):
        weights[rng.random(weights.shape) < zeros] = 0.0
    return state


def _weights(state: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [array for array in state.values() if array.ndim == 2]


def _choices(method: str, records: list[Record], classes: int) -> list[Choice]:
    own = [record for record in records if record.trial.method == method]
    strengths = sorted({record.trial.strength for record in own})
    means = [
        np.mean([record.validation_score for record in own if record.trial.strength == strength])
        for strength in strengths
    ]
    best = int(np.argmax(means))
    picks = {"best": best, "one-se": min(best + 1, len(strengths) - 1)}
    return [
        _choice(method, rule, strengths, place, own, classes)
        for rule, place in picks.items()
        if method != "none" or rule == "best"
    ]


def _choice(
    method: str, rule: str, strengths: list[float], place: int, own: list[Record], classes: int
) -> Choice:
    strength = strengths[place]
    chosen = [record for record in own if record.trial.strength == strength]
    scores = np.array([record.validation_score for record in chosen])
    error = scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan
    edges = {0: "lowest", len(strengths) - 1: "highest"}
    return Choice(
        method=method,
        rule=rule,
        strength=strength,
        edge="" if method == "none" else edges.get(place, ""),
        validation_mean=float(scores.mean()),
        validation_se=float(error),
        test_scores=[float(score - 0.01) for score in scores],
        zeros=float(np.mean([record.zeros for record in chosen])),
        dead_neurons=float(np.mean([record.dead_neurons for record in chosen])),
        neurons=NEURONS,
        seconds=float(np.mean([record.seconds for record in chosen])),
        surface=surface(classes, twist=3.0 + _place(method) / 8),
    )


def surface(classes: int, twist: float = 3.0, side: int = 100) -> Surface:
    """Arms of a spiral, one a class."""
    axis = np.linspace(-1.1, 1.1, side)
    across, up = np.meshgrid(axis, axis)
    turn = (np.arctan2(up, across) + twist * np.hypot(across, up)) / (2 * np.pi)
    return Surface(x=axis, y=axis, prediction=np.floor((turn % 1) * classes).astype(int))


def points(classes: int, rows: int = 600) -> dict[str, list[float]]:
    """Rows of the spiral that `surface` continues."""
    rng = np.random.default_rng(5)
    label = np.arange(rows) % classes
    radius = np.sqrt(rng.random(rows))
    angle = 2 * np.pi * (label + 0.5) / classes - 3 * radius + 0.25 * rng.standard_normal(rows)
    return {
        "x": (radius * np.cos(angle)).tolist(),
        "y": (radius * np.sin(angle)).tolist(),
        "label": label.tolist(),
    }


def with_diverged(results: Results, reason: str, method: str = "l2@coupled") -> Results:
    """The same study, where the first seed diverged at the two greatest strengths of a method."""
    greatest = sorted({record.trial.strength for record in results.records})[-2:]

    def lost(record: Record) -> bool:
        trial = record.trial
        return trial.method == method and trial.seed == 0 and trial.strength in greatest

    records = [diverged(record, reason) if lost(record) else record for record in results.records]
    return replace(results, records=records)


def diverged(record: Record, reason: str) -> Record:
    """The same trial, had it diverged."""
    return replace(
        record,
        status="diverged",
        reason=reason,
        train_score=None,
        validation_score=None,
        zeros=float("nan"),
        history={
            "epoch": [1.0],
            "data_loss": [float("nan")],
            "penalty": [float("inf")],
            "validation_score": [float("nan")],
        },
        state={},
    )


def of_numbers(results: Results) -> Results:
    """The same study with numbers to predict: R² scores, one of them far below the rest."""
    plane = surface(3)
    smooth = replace(plane, prediction=np.add.outer(plane.y, plane.x**2))
    marks = points(3)
    label = [y + x * x for x, y in zip(marks["x"], marks["y"], strict=True)]
    records = [
        replace(record, validation_score=-40.0)
        if record.trial.strength == max(STRENGTHS)
        else record
        for record in results.records
    ]
    return replace(
        results,
        data={
            **results.data,
            "task": "numbers",
            "classes": None,
            "points": {**marks, "label": label},
        },
        records=records,
        choices=[replace(choice, surface=smooth) for choice in results.choices],
    )


def with_trivial(results: Results, level: float, answer: str = "outer") -> Results:
    """The same study, knowing what the majority class scores."""
    seeds = len({record.trial.seed for record in results.records})
    trivial = {
        "name": "the majority class",
        "answer": answer,
        "validation_scores": [level] * seeds,
        "test_scores": [level - 0.01] * seeds,
        "test_error": 0.034,
    }
    return replace(results, data={**results.data, "trivial": trivial})


def with_inputs(results: Results, names: tuple[str, ...], *, is_linear: bool = False) -> Results:
    """The same study, having measured its inputs: L1 uses two, the others all; the last wins."""
    features = [
        use(choice, name, place, 3 if place < 2 or "l1" not in choice.method else place == 2)
        for choice in results.choices
        for place, name in enumerate(names)
    ]
    if is_linear:
        features = [replace(each, original=-2.5 * each.importance) for each in features]
    recommended = next(c for c in results.choices if c.method not in ("none", "l2@coupled"))
    return replace(results, features=features, recommended=recommended)


def use(choice: Choice, name: str, place: int, kept: int) -> FeatureUse:
    """An input that matters the less the later it comes."""
    importance = 0.5 / (1 + place) if kept else 0.0
    error = 0.01 if kept else 0.0
    return FeatureUse(choice.method, choice.strength, name, int(kept), 3, importance, error)


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&%{x}"
KINDS: dict[str, Callable[[], Results]] = {
    "whole": study,
    "with diverged trials": lambda: with_diverged(study(FEW), "step 41: 0.weight is not finite"),
    "numbers": lambda: of_numbers(study(FEW)),
    "trivial model": lambda: with_trivial(study(FEW), 0.8),
    "inputs": lambda: with_inputs(study(FEW), tuple(f"x{k + 1}" for k in range(30))),
    "one seed": lambda: study(FEW, seeds=1),
    "one strength": lambda: study(FEW, (1e-3,)),
    "no penalty alone": lambda: study(methods=("none",)),
    "only penalties": lambda: study(FEW[1:]),
    "thirty methods": lambda: study(tuple(f"l1:{k + 1}@coupled" for k in range(30)), (1e-3, 1e-2)),
    "hundreds of classes": lambda: study(FEW, classes=tuple(f"class {k}" for k in range(300))),
    "unfinished": lambda: unfinished(study(), kept=40),
    "not yet tested": lambda: untested(study()),
    "all diverged": lambda: all_diverged(study()),
    "no trials": lambda: unfinished(study(), kept=0),
    "nothing known": lambda: Results({}, {}, {}, [], [], ""),
    "hostile": lambda: with_diverged(
        with_trivial(
            with_inputs(
                study(("none", HOSTILE, "l2@coupled"), classes=(HOSTILE, "b"), name=HOSTILE),
                (HOSTILE, f"{HOSTILE}2", "b" * 400),
            ),
            0.4,
            answer=HOSTILE,
        ),
        HOSTILE,
    ),
}


@cache
def kind(name: str) -> Results:
    """One of the kinds of study that a report must be able to show."""
    return KINDS[name]()


def unfinished(results: Results, kept: int) -> Results:
    """The same study, stopped after its first trials."""
    return replace(results, records=results.records[:kept], choices=[], verdict="")


def untested(results: Results) -> Results:
    """The same study before its chosen models saw the test part."""
    choices = [replace(choice, test_scores=[], surface=None) for choice in results.choices]
    return replace(results, choices=choices, verdict="")


def all_diverged(results: Results) -> Results:
    """The same study, had no trial come through."""
    records = [diverged(record, "step 1: the loss is nan") for record in results.records]
    return replace(results, records=records, choices=[], verdict="")
