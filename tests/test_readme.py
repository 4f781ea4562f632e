"""Every block of code in the README runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_blocks_run_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(blocks("python")) >= 4
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert "penalized" in capsys.readouterr().out


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_the_make_targets_exist() -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
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
    quick = ["--epochs", "2", "--seeds", "1", "--jobs", "1"] if words[1] == "compare" else []
    monkeypatch.setattr("sys.argv", [*words, *quick])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (0, None)
    assert words[1] != "compare" or list(Path().glob("*/report.html"))
