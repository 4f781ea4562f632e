"""What a study of many rows takes of the memory."""

import numpy as np
import pytest

from shrinkage.study.data import memory
from shrinkage.study.data.splits import SeedParts
from shrinkage.study.spec import Study


@pytest.fixture
def ready(table_of):
    generator = np.random.default_rng(0)
    columns = {f"x{index}": generator.normal(size=2000) for index in range(10)}
    table = table_of({**columns, "y": columns["x0"] + 1})
    return table, SeedParts(table, Study(seeds=2))


def test_small_data_need_no_word(ready):
    assert memory.describe_memory(*ready, processes=2) == []


def test_much_is_told_and_more_than_there_is_names_a_remedy(ready, monkeypatch):
    monkeypatch.setattr(memory, "MUCH", 1.0)
    monkeypatch.setattr(memory, "LIBRARIES", 0.0)
    monkeypatch.setattr(memory, "TORCH", 0.0)
    table, parts = ready
    (told,) = memory.describe_memory(table, parts, 0, machine=1e9)
    assert told == "it takes about 0.0 GB of memory for 2,000 rows × 10 inputs"
    # float64 columns; the float32 parts of both seeds, and the rows of the model that is kept
    taken = 2000 * 10 * 8 + (2 + 1) * 1500 * 11 * 4
    assert len(memory.describe_memory(table, parts, 0, machine=taken)) == 1
    _, warned = memory.describe_memory(table, parts, 0, machine=taken - 1)
    assert warned == (
        "this machine has 0.0 GB of memory, which is less: a first look at a part of the rows, "
        "as --sample 1000, would fit"
    )
    assert len(memory.describe_memory(table, parts, 2, machine=taken)) == 2


def test_the_machine_says_what_it_has(monkeypatch, tmp_path):
    whole = memory.find_memory()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "LIMITS", (limit, tmp_path / "none"))
    for text, expected in (("1000000\n", 1e6), ("max\n", whole)):
        limit.write_text(text)
        assert memory.find_memory() <= expected
