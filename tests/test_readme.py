"""Every block of code in the READMEs runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from shrinkage.probe import survey
from shrinkage.probe.catalogue import Entry

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SCRATCH = ROOT / "docs/scratch.md"


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def run_blocks(page: Path) -> dict[str, object]:
    """Run the Python blocks one after the other; the names they leave."""
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)
    return names


def test_the_python_blocks_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(blocks(README, "python")) >= 4
    run_blocks(README)
    assert "penalized" in capsys.readouterr().out


def test_the_page_on_weight_decay_computes_what_it_says() -> None:
    names = run_blocks(ROOT / "docs" / "weight-decay.md")
    assert (round(names["alpha"], 12), round(names["decay"], 12)) == (2.0, 0.0001)


def test_the_page_on_the_audit_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "docs" / "audit.md"
    run_blocks(page)
    assert capsys.readouterr().out == "".join(blocks(page, "text"))


@pytest.mark.slow
def test_the_loop_by_hand_learns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_blocks(SCRATCH)
    printed = capsys.readouterr().out
    assert printed.startswith("epoch 0: accuracy 0.")
    assert "epoch 100: accuracy 0." in printed
    assert "lr 0.0499975251" in printed
    assert "weights are exactly zero" in printed
    assert 0.75 < names["validation_accuracy"] < 0.95  # type: ignore[operator]


def commands() -> list[list[str]]:
    sources = [*blocks(README, "sh"), *blocks(SCRATCH, "sh")]
    lines = [line for block in sources for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [words[1] for words in commands() if words[0] == "make"]
    assert targets == ["compare", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "words", [words for words in commands() if words[0] == "shrinkage"], ids=" ".join
)
def test_the_shrinkage_commands_run(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shrinkage.cli import main

    monkeypatch.chdir(tmp_path)
    rows = [f"{n % 7},{'ab'[n % 2]},{n % 7 + n % 2}" for n in range(60)]
    Path("data.csv").write_text("\n".join(["x,kind,y", *rows]), encoding="utf-8")
    quick = {
        "compare": ["--epochs", "2", "--seeds", "1", "--jobs", "1"],
        "path": ["--seeds", "2", "--resamples", "2", "--model", "linear"],
        "scratch": ["--epochs", "20", "--samples", "30"],
        "probe": ["--jobs", "1", "--timeout", "1800"],  # nothing hurries
    }
    monkeypatch.setattr(survey, "find_installed", lambda: [Entry("torch.optim.SGD")])
    asked = [*words, *quick.get(words[1], [])]
    lines = [asked]
    if words[1] == "predict":  # with the model of the study that the command before it made
        Path("new.csv").write_text("x,kind\n1,a\n", encoding="utf-8")
        maker = "path" if words[2] == "shrinkage-path" else "compare"
        before = ["shrinkage", maker, "data.csv", "--target", "y", "--out", words[2]]
        lines = [[*before, "--penalty", "l1", *quick[maker]], asked]
    for line in lines:
        monkeypatch.setattr("sys.argv", line)
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code in (0, None)
    assert words[1] != "compare" or list(Path().glob("*/report.html"))
    if "predictions.csv" in words:
        assert Path("predictions.csv").read_text().startswith("row,y,")
    assert not {"scratch", "--out"} & {*words} or list(Path().glob("**/*.html"))
