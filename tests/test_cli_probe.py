"""`shrinkage probe`, as its user meets it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pages import DOCS, command_lines
from shrinkage.cli import app
from shrinkage.probe import survey
from shrinkage.probe.catalogue import Entry

# The commands of docs/probe.md, which are run here.
ADAM, MOMENTUM = ["torch.optim.Adam"], ["torch.optim.SGD,momentum=0.9"]
ALL = ["--all", "--out", "laws.html"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the commands run, all in one process for foreign code: importing torch takes seconds.

    What ends that process makes the next command start another.
    """
    folder = tmp_path_factory.mktemp("probed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with survey._start_workers(1) as workers:
            patch.setattr(survey, "_start_workers", lambda count: nullcontext(workers))
            yield folder


@pytest.fixture
def run(folder: Path):
    command = ["probe", "--timeout", "1800"]  # which a later one overrides: nothing hurries
    return lambda *arguments: CliRunner().invoke(app, [*command, *map(str, arguments)])


def test_one_optimizer(run) -> None:
    result = run(*ADAM, "--lr", "0.01", "--weight-decay", "0.2")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "torch.optim.Adam at lr=0.01, weight_decay=0.2"
    assert lines[1].split(maxsplit=1)[1] == ("w ← w − lr·sign(w) (the strength cancels), coupled")


def test_the_commands_of_the_page_are_run_here() -> None:
    words = [shlex.split(line, comments=True) for line in command_lines(DOCS / "probe.md")]
    assert [rest for _, command, *rest in words if command == "probe"] == [ADAM, MOMENTUM, ALL]


@pytest.mark.slow
def test_options_of_the_optimizer_and_a_page_of_one(run, folder: Path) -> None:
    result = run(*MOMENTUM, "--out", "one.html")
    assert result.exit_code == 0, result.output
    assert "torch.optim.SGD(momentum=0.9)" in result.stdout
    assert "it is 10 times as strong as at first" in result.stdout
    assert "1 optimizer" in (folder / "one.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_all_of_them_and_a_page(run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [Entry("torch.optim.SGD"), Entry("torch_optimizer.SGDW"), Entry("lib", "does not import")]
    monkeypatch.setattr(survey, "find_installed", lambda: few)
    result = run(*ALL, "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert "torch_optimizer.SGDW: w ← w − lr·wd, decoupled" in result.stdout
    assert result.stdout.rstrip().endswith("laws.html")
    page = (folder / "laws.html").read_text(encoding="utf-8")
    assert "does not import" in page
    assert "What weight_decay does, at lr 0.1 and weight_decay 0.1" in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "name one optimizer, such as torch.optim.Adam, or give --all"),
        (("adam", "--all"), "name one optimizer, such as torch.optim.Adam, or give --all"),
        pytest.param(
            ("adm",),
            "optimizer 'adm' is not in torch.optim; did you mean 'Adam'?",
            marks=pytest.mark.slow,
        ),
        (("adam", "--lr", "0"), "lr must be > 0 and finite, got 0.0"),
        (("--all", "--lr", "nan"), "lr must be > 0 and finite, got nan"),
        (("adam", "--weight-decay", "much"), "'much' is no number"),
        (("adam", "--timeout", "0"), "timeout must be > 0 and finite, got 0.0"),
        (("--all", "--jobs", "0"), "jobs must be a whole number from 1 up, got 0"),
        (("adam", "--out", "page.pdf"), "out must be a file that ends in .html, got 'page.pdf'"),
        (("adam", "--out", "nowhere/p.html"), "there is no folder 'nowhere'"),
        pytest.param(
            ("os.system",),
            "posix.system cannot be probed: it is no optimizer",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_input(run, folder: Path, arguments, sentence: str) -> None:
    before = list(folder.iterdir())
    result = run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not result.stdout
    assert list(folder.iterdir()) == before


ENDS = """
import os, time
from torch.optim import SGD
class Ends(SGD):
    def step(self, closure=None):
        {}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "timeout", "sentence"),
    [
        ("time.sleep(1000)", 1, "cannot be probed: it "),  # takes more than 1 s, or hangs
        ("os._exit(0)", 1800, "mine_exits:Ends cannot be probed: it ends its process, with 0"),
    ],
)
def test_a_step_that_ends_the_process_or_never_ends(
    run, folder: Path, line: str, timeout: float, sentence: str
) -> None:
    module = "mine_exits" if "exit" in line else "mine_sleeps"
    (folder / f"{module}.py").write_text(ENDS.format(line))
    result = run(f"{module}:Ends", "--timeout", timeout)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not result.stdout
    assert module not in sys.modules  # foreign code runs in a process of its own
