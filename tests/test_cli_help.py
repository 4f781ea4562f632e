"""The help of each command, its page in docs, and the completion of a shell."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import shrinkage
from shrinkage.cli import app
from shrinkage.cli.help_pages import PAGES, WORDS
from shrinkage.study.method import parse_method

ROOT = Path(__file__).parents[1]
COMMANDS = typer.main.get_command(app).commands


def test_the_page_is_what_the_command_says() -> None:
    path = ROOT / "docs" / "command.py"
    spec = importlib.util.spec_from_file_location("command_page", path)
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    page = writer.PAGE.read_text(encoding="utf-8")
    assert page == writer.write_page(), "run python docs/command.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_has_two_examples_of_its_own_and_its_words(name: str) -> None:
    page = PAGES[name]
    assert len(page.examples) == 2
    assert all(line.startswith(f"shrinkage {name} ") for line, _ in page.examples)
    assert set(page.words) <= set(WORDS)
    text = COMMANDS[name].get_help(COMMANDS[name].make_context(name, [], resilient_parsing=True))
    assert text.index("\nExamples:\n") < text.index("\nWords:\n")
    assert all(f"\n  {line}\n" in text for line, _ in page.examples)


def test_every_word_and_page_is_used() -> None:
    assert {word for page in PAGES.values() for word in page.words} == set(WORDS)
    assert list(PAGES) == list(COMMANDS)


def test_options_stand_in_groups() -> None:
    command = COMMANDS["compare"]
    text = command.get_help(command.make_context("compare", [], resilient_parsing=True))
    titles = re.findall(r"^(\w.*):$", text, flags=re.MULTILINE)
    assert titles[:3] == ["Arguments", "Data", "What is compared"]
    assert text.index("\nData:\n") < text.index("--subject") < text.index("\nWhat is compared:\n")
    other = text.partition("Other options:\n")[2].partition("\n\n")[0]
    assert other.split()[0] == "--help"
    assert len(other.splitlines()) == 1


@pytest.mark.parametrize("line", [line for page in PAGES.values() for line, _ in page.examples])
def test_its_examples_can_be_parsed(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    context = COMMANDS[name].make_context(name, arguments)
    given = context.params.get("penalty") or []
    for text in [given] if isinstance(given, str) else given:
        parse_method(text)


@pytest.mark.quick_where(typed=["shrinkage compare --metric r"])
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("shrinkage ", set(COMMANDS)),
        ("shrinkage compare --metric r", {"roc_auc", "r2", "rmse"}),
        ("shrinkage compare --task ", {"regression", "classification"}),
    ],
)
def test_a_shell_completes_commands_and_values(typed: str, offered: set[str]) -> None:
    variables = {
        "_SHRINKAGE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
    }
    assert set(run_main((), variables).split()) == offered


@pytest.mark.slow
def test_completion_is_installed_where_it_is_asked_for(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    run_main(("--install-completion", "bash"), variables)
    assert ".bash_completions/shrinkage.sh" in (tmp_path / ".bashrc").read_text()


def run_main(arguments: tuple[str, ...], variables: dict[str, str]) -> str:
    """What the command prints, under its own name, with these variables set."""
    code = "import sys; sys.argv[0] = 'shrinkage'; from shrinkage.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | variables,
    )
    return done.stdout


def test_python_m_is_the_command() -> None:
    command = [sys.executable, "-m", "shrinkage", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == shrinkage.__version__
