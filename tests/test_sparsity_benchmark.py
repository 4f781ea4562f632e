"""The benchmark of wanted zeros: each method makes as many as it says, and its table is written."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    sys.path.insert(0, str(BENCHMARKS))
    import sparsity

    yield sparsity
    sys.path.remove(str(BENCHMARKS))


@pytest.mark.filterwarnings("ignore:target:")
@pytest.mark.parametrize("title", ["MLP entries", "CNN channels", "Transformer entries"])
def test_each_method_makes_the_zeros_and_holds_them(benchmark: Any, title: str) -> None:
    name, units = title.split()
    whole = benchmark.TASKS[name].load()
    few = tuple((x[:400], y[:400]) for x, y in whole)  # of which 300 are trained on, in ten steps
    task = dataclasses.replace(benchmark.TASKS[name], load=lambda: few, epochs=1, batch=30)
    for label, method in benchmark.METHODS[units].items():
        setting = benchmark.Setting(0.01, *method.ramps[0])
        model = benchmark.train(task, method, 0.75, setting, seed=0)
        assert 0.0 <= benchmark.measure_accuracy(model, task.load()[1]) <= 1.0
        layers = benchmark.layers_of(model) if units == "entries" else task.hidden(model)
        weights = [layer.weight for layer in layers.values()]
        if units == "entries":
            zeros = torch.cat([(w == 0).flatten() for w in weights])
        else:
            zeros = torch.cat([(w == 0).flatten(1).all(1) for w in weights])
        wanted = 0.0 if label == "dense" else 0.75
        assert float(zeros.float().mean()) == pytest.approx(wanted, abs=0.005), label


def test_the_parts_do_not_overlap_and_the_test_part_is_always_the_same(benchmark: Any) -> None:
    for name in ("MLP", "Transformer"):
        task = benchmark.TASKS[name]
        (train, _), (validation, _), (test, _) = task.split(0)
        rows = len(task.load()[0][0])
        assert len(train) + len(validation) == rows
        assert task.split(1)[2][0] is test
        assert not torch.equal(task.split(1)[1][0], validation)


def test_brackets_close_what_is_open(benchmark: Any) -> None:
    (texts, labels), _ = benchmark.TASKS["Transformer"].load()
    for text, asked in zip(texts[:50].tolist(), labels[:50].tolist(), strict=True):
        open_ones: list[int] = []
        for character, wanted in zip(text, asked, strict=True):
            if character < 4:
                open_ones.append(character)
            else:
                assert open_ones.pop() == character - 4
            assert wanted in (-1, open_ones[-1] if open_ones else -1)


def test_mnist_1d_is_made_here(benchmark: Any) -> None:
    pytest.importorskip("mnist1d")
    (signals, labels), (test, _) = benchmark.TASKS["MNIST-1D"].load(300)
    assert signals.shape[1:] == test.shape[1:] == (1, 40)
    assert set(labels.tolist()) == set(range(10))


def test_a_table_takes_the_place_of_the_one_of_its_title(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path / "results.md")
    benchmark.write_section("CNN entries", "one")
    benchmark.write_section("MLP entries", "two")
    benchmark.write_section("CNN entries", "three")
    written = benchmark.RESULTS.read_text(encoding="utf-8")
    assert "one" not in written
    assert written.index("two") < written.index("three")
    assert written.count("\n## ") == 2


def test_the_last_row_compares_with_the_best_pruning(benchmark: Any) -> None:
    rows = [
        "| dense | 99.0 ± 0.1 | 99.0 ± 0.1 | 99.0 ± 0.1 | lr 0.01 |",
        "| magnitude, at once | 97.0 ± 0.3 | 90.0 ± 0.3 | 50.0 ± 3.0 | lr 0.01, 0.33 |",
        "| magnitude, gradual | 96.0 ± 0.3 | 96.0 ± 0.4 | 94.0 ± 0.3 | lr 0.01, 0.00 to 0.50 |",
        "| L0 with a target | 97.3 ± 0.4 | 97.0 ± 0.3 | 93.0 ± 0.4 | lr 0.01, 0.00 to 0.50 |",
        "| L1 with a target | 98.0 ± 0.1 | 98.0 ± 0.1 | 98.0 ± 0.1 | lr 0.01, 0.00 to 0.50 |",
    ]
    last = benchmark.compare(rows, "L0 with a target")
    cells = "level, +0.3 ± 0.5 | ahead, +1.0 ± 0.5 | behind, -1.0 ± 0.5 | |"
    assert last == f"| L0 with a target, against the best pruning | {cells}"
