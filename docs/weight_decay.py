"""Write the part of weight-decay.md that is about optimizers, from what the probe finds."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from shrinkage.probe.catalogue import Entry, find_installed
from shrinkage.probe.survey import survey, to_records

PAGE = Path(__file__).with_name("weight-decay.md")
BEGIN, END = "<!-- written by make docs -->\n", "<!-- to here -->\n"
TABLE = "| optimizer | what it converges to | as documented? | also |\n|---|---|---|---|"


def main() -> None:
    """Probe all that the page is about, and put what was found between the two marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    found = to_records(survey(entries()))
    PAGE.write_text(f"{before}{BEGIN}\n{section(found)}\n{END}{after}", encoding="utf-8")


def entries() -> list[Entry]:
    """The optimizers that the page is about: those that `make test` installs."""
    return find_installed(("torch.optim", "torch_optimizer", "pytorch_optimizer"))


def section(found: Sequence[dict]) -> str:
    """A heading and a table for each law, after a list of what is not as documented."""
    promised = [record for record in found if "documented" in record["verdict"]]
    broken = [record for record in promised if record["verdict"].startswith("NOT")]
    versions = ", ".join(
        f"{name} {version(name).partition('+')[0]}"
        for name in ("torch", "torch-optimizer", "pytorch-optimizer")
    )
    parts = [
        f"`shrinkage probe --all` at lr 0.1 and weight_decay 0.1 found this in {versions}. wd is "
        "weight_decay, lr the learning rate at a step, lr₀ the one at the start; w is a weight "
        "before the step, at a data gradient of 0; ‖w‖, RMS(w) = ‖w‖/√n, mean|w| and max|w| are of "
        "a whole tensor with n entries; J is the data loss and the penalty.\n",
        f"{len(broken)} of the {len(promised)} of which something is promised, by an argument, the "
        "name or the documentation, do something else:\n",
        "\n".join(written(f"- {each['optimizer']}: {each['law']}") for each in broken),
    ]
    for law, same in groupby(found, key=lambda record: record["law"]):
        rows = "\n".join(map(row, same))
        parts.append(f"\n### {written(law)}\n\n{TABLE}\n{rows}")
    return "\n".join(parts) + "\n"


def row(record: dict) -> str:
    """The line of one optimizer."""
    cells = (record["optimizer"], record["objective"], record["verdict"], record["also"])
    return f"|{'|'.join(f' {written(cell)} ' if cell else ' ' for cell in cells)}|"


def written(text: object) -> str:
    """`text` in Markdown, where bars and stars and underscores mean something."""
    for sign in "|*_<":
        text = str(text).replace(sign, f"\\{sign}")
    return str(text)


if __name__ == "__main__":
    main()
