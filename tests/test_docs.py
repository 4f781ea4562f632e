"""Every block of code of the README and of the site's pages runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

import pytest

from built_command import build_command
from pages import (
    DOCS,
    MARKER,
    README,
    ROOT,
    command_lines,
    is_about,
    name,
    pages,
    parameters,
    run_blocks,
)

# In these the commands run, and those of docs/probe.md in test_cli_probe.py and test_cli.py; in all
# pages they are read.
RUN = (README, DOCS / "studies.md", DOCS / "scratch.md")
LEFT = {"weight-decay.md": {"alpha": 2.0, "decay": 1e-4}}  # what a page's variables are at its end
CLUSTER = {"--backend", "--scheduler", "--shard", "merge"}


@pytest.mark.parametrize("page", parameters())
def test_the_python_blocks_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_blocks(page)
    for variable, value in LEFT.get(page.name, {}).items():
        assert names[variable] == pytest.approx(value, rel=1e-12)


def test_about_the_same_is_within_a_factor_of_three() -> None:
    assert is_about("a 0 zeros, 3e-03\nb 6 zeros, 2e-13", "a 0 zeros,  6e-03\nb 6 zeros, 8e-12")
    for other in ("6 zeros of 10", "0 zeros of 31", "0 zeros in 10"):
        assert not is_about("0 zeros of 10", other)


def test_pages_that_are_run_elsewhere_are_named_there() -> None:
    for page in pages():
        for named in MARKER.findall(page.read_text("utf-8")):
            if named.endswith(".py"):
                assert page.name in (ROOT / "tests" / named).read_text("utf-8")
    assert {*LEFT} <= {page.name for page in pages()}


@pytest.mark.slow
def test_the_loop_by_hand_learns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_blocks(DOCS / "scratch.md")
    printed = capsys.readouterr().out
    assert printed.startswith("epoch 0: accuracy 0.")
    assert "epoch 100: accuracy 0." in printed
    assert "lr 0.0499975251" in printed
    assert "weights are exactly zero" in printed
    assert 0.75 < names["validation_accuracy"] < 0.95  # type: ignore[operator]


def commands(among: Iterable[Path]) -> list[list[str]]:
    """The commands of these pages, each once."""
    lines = dict.fromkeys(line for page in among for line in command_lines(page))
    return [words for line in lines if (words := shlex.split(line, comments=True))]


ALL = commands(pages())


def test_the_make_targets_and_the_scripts_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in ALL:
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE)
        if words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).exists() or not words[1].startswith("benchmarks/")
    assert [words[1] for words in commands([README]) if words[0] == "make"] == ["compare", "test"]


@pytest.mark.parametrize("words", [words for words in ALL if words[0] == "shrinkage"], ids=" ".join)
def test_the_shrinkage_commands_can_be_parsed(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shrinkage.cli import app
    from shrinkage.study.method import parse_method

    monkeypatch.chdir(tmp_path)
    _, name, *arguments = words
    if name.startswith("-"):
        return
    context = build_command(app).commands[name].make_context(name, arguments)
    given = context.params.get("penalty") or []
    for text in [given] if isinstance(given, str) else given:
        parse_method(text)


@pytest.mark.quick_where(page=[README, DOCS / "scratch.md"])
@pytest.mark.parametrize("page", RUN, ids=name)
def test_the_shrinkage_commands_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shrinkage.cli import main

    monkeypatch.chdir(tmp_path)
    rows = [f"{n % 7},{'ab'[n % 2]},{n % 7 + n % 2 + n % 5 / 10}" for n in range(60)]
    Path("data.csv").write_text("\n".join(["x,kind,y", *rows]), encoding="utf-8")
    Path("new.csv").write_text("x,kind\n1,a\n", encoding="utf-8")
    linear = ["--model", "linear"]
    small = {
        "compare": [*linear, "--epochs", "2", "--seeds", "1", "--jobs", "1"],
        "path": [*linear, "--seeds", "2", "--resamples", "2"],
        "scratch": ["--epochs", "20", "--samples", "30"],
    }
    # The process is the tests', which would ignore Ctrl-C and SIGTERM from now on.
    monkeypatch.setattr("shrinkage.cli.own_the_process", contextlib.nullcontext)
    asked = [words for words in commands([page]) if words[0] == "shrinkage"]
    assert asked
    for words in asked:
        if CLUSTER & {*words}:
            continue
        for written in Path().glob("**/*.html"):  # by the command before
            written.unlink()
        monkeypatch.setattr("sys.argv", [*words, *small.get(words[1], [])])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code in (0, None), words
        assert words[1] != "compare" or list(Path().glob("*/report.html"))
        if "predictions.csv" in words:
            assert Path("predictions.csv").read_text().startswith("row,y\n")
        elif {"scratch", "--out"} & {*words}:
            assert list(Path().glob("**/*.html")), words
