"""All that is installed: what fails, hangs or crashes is a row, and stops no other."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest

from shrinkage.probe import survey as survey_module
from shrinkage.probe.catalogue import Entry, find_installed
from shrinkage.probe.survey import Row, group_by_law, survey, to_records, to_text

MADE_UP = """
    import os, time, warnings
    from torch.optim import Adam, SGD, Optimizer

    print("made up is loud")
    warnings.warn("made up is deprecated")

    class Right(SGD):
        pass

    class Loud(SGD):
        def step(self, closure=None):
            print("loud")
            os.write(1, b"louder")
            return super().step(closure)

    class Raises(SGD):
        def step(self, closure=None):
            raise KeyError("made up")

    class Hangs(SGD):
        def step(self, closure=None):
            time.sleep(1000)

    class Interrupts(SGD):
        def step(self, closure=None):
            raise KeyboardInterrupt

    class Crashes(SGD):
        def step(self, closure=None):
            os._exit(7)

    Alias = Right
    number = 3
"""


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two packages that can be imported, or try to."""
    home = tmp_path_factory.mktemp("home")
    (home / "made_up.py").write_text(textwrap.dedent(MADE_UP))
    (home / "broken_up.py").write_text("raise RuntimeError('no such operator')")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield


@pytest.mark.usefixtures("made_up")
def test_the_catalogue_has_each_optimizer_once(capsys) -> None:
    entries = find_installed(("torch.optim", "made_up", "broken_up", "not_installed"))
    names = [entry.name for entry in entries if not entry.reason]
    assert {"torch.optim.SGD", "torch.optim.AdamW", "torch.optim.LBFGS"} <= set(names)
    own = [name for name in names if name.startswith("made_up")]
    kinds = ("Crashes", "Hangs", "Interrupts", "Loud", "Raises", "Right")
    assert own == [f"made_up.{name}" for name in kinds]
    assert [entry for entry in entries if entry.reason] == [
        Entry("broken_up", "it is installed but does not import: RuntimeError: no such operator")
    ]
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_the_libraries_that_are_known_are_found() -> None:
    entries = find_installed(("torch.optim", "torch_optimizer", "pytorch_optimizer"))
    assert all(not entry.reason for entry in entries)
    libraries = {entry.name.partition(".")[0] for entry in entries}
    assert {"torch", "torch_optimizer", "pytorch_optimizer"} <= libraries
    assert len({entry.name for entry in entries}) == len(entries) > 150


@pytest.fixture
def no_timm() -> Iterator[None]:
    """No timm is imported yet, and what a test makes in its place is gone afterwards."""
    theirs = {name: module for name, module in sys.modules.items() if is_of_timm(name)}
    forget_timm()
    yield
    forget_timm()
    sys.modules.update(theirs)


def forget_timm() -> None:
    for name in [*filter(is_of_timm, sys.modules)]:
        del sys.modules[name]


def is_of_timm(name: str) -> bool:
    return name.partition(".")[0] == "timm"


@pytest.mark.slow
def test_timm_is_found_where_it_is_installed(tmp_path: Path, monkeypatch, no_timm: None) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "timm" / "optim").mkdir(parents=True)
    (tmp_path / "timm" / "__init__.py").write_text("")
    home = tmp_path / "timm" / "optim" / "__init__.py"
    home.write_text("from torch.optim import SGD\nclass SGDP(SGD): pass")
    assert Entry("timm.optim.SGDP") in find_installed()
    forget_timm()
    home.write_text("import torchvision_of_another_torch")
    (entry,) = [entry for entry in find_installed() if entry.name.startswith("timm")]
    assert entry.reason.startswith("it is installed but does not import: ModuleNotFoundError")


HANGING = Entry("made_up.Hangs")
ENTRIES = [
    *map(Entry, ("torch.optim.AdamW", "torch_optimizer.SGDW", "torch.optim.LBFGS")),
    *map(Entry, ("made_up.Crashes", "made_up.Interrupts", "made_up.Loud", "made_up.Raises")),
    Entry("made_up.Right"),
    Entry("broken_up", "it is installed but does not import"),
]


@cache
def survey_once() -> list[Row]:
    """Both surveys, by the same processes: importing torch takes these seconds."""
    with survey_module._start_workers(2) as workers, pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey_module, "_start_workers", lambda count: nullcontext(workers[:count]))
        # What ends by itself has as long as it needs, however slow the machine.
        rows = survey(ENTRIES, jobs=2, seconds=300.0)
        return [*rows, *survey([HANGING], seconds=0.2)]


@pytest.fixture
def rows(made_up: None, capfd: pytest.CaptureFixture[str]) -> list[Row]:
    """Of torch's, of a library's, and of made up ones; all that they print is swallowed."""
    rows = survey_once()
    assert capfd.readouterr() == ("", "")
    return rows


@pytest.mark.slow
def test_what_fails_hangs_or_crashes_is_a_row(rows: list[Row]) -> None:
    found = {row.name: row for row in rows}
    assert [row.name for row in rows] == [entry.name for entry in (*ENTRIES, HANGING)]
    assert found["made_up.Right"].law.formula == "w ← (1 − lr·wd)·w"
    assert found["made_up.Loud"].law.formula == "w ← (1 − lr·wd)·w"
    assert "KeyError" in found["made_up.Raises"].reason
    assert found["made_up.Hangs"].reason == "it hangs for 1.2 s"
    assert found["made_up.Interrupts"].reason == "KeyboardInterrupt"
    assert found["made_up.Crashes"].reason == "it ends its process, with 7"
    assert found["broken_up"].reason == "it is installed but does not import"


@pytest.mark.slow
def test_rows_are_grouped_by_law(rows: list[Row]) -> None:
    groups = group_by_law(rows)
    assert [row.name for row in groups["w ← w − lr·wd, decoupled"]] == ["torch_optimizer.SGDW"]
    assert sum(map(len, groups.values())) == len(rows)
    assert list(groups)[-2:] == ["takes no weight_decay", "could not be probed"]


@pytest.mark.slow
def test_the_text_says_the_constant_shift_in_one_line(rows: list[Row]) -> None:
    lines = to_text(rows).splitlines()
    assert "NOT as documented  [1]" in lines
    assert "  torch_optimizer.SGDW: w ← w − lr·wd, decoupled" in lines
    (row,) = [line for line in lines if line.startswith("  torch_optimizer.SGDW  ")]
    assert "NOT as documented: decoupled, (1 − lr·wd)·w (its name)" in row


@pytest.mark.slow
def test_records_are_plain(rows: list[Row]) -> None:
    records = to_records(rows)
    assert len(records) == len(rows)
    values = [value for record in records for value in record.values()]
    assert all(isinstance(value, str | float | None) for value in values)
    (broken,) = [record for record in records if record["optimizer"] == "broken_up"]
    assert (broken["also"], broken["misfit"]) == ("it is installed but does not import", None)


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"weight_decay": -1.0}])
def test_bad_rates_are_refused_before_any_work(options: dict) -> None:
    with pytest.raises(ValueError, match="must be > 0"):
        survey([], **options)
