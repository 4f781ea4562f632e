"""The recipes of docs/stack.md run, are short, and make zeros."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set:UserWarning"),
]

PAGE = Path(__file__).parents[2] / "docs" / "stack.md"
NEEDS = {  # what each recipe needs, by the heading or the first words before it
    "## Lightning": "lightning",
    "## transformers": "transformers",
    "## skorch": "skorch",
    "**accelerate.**": "accelerate",
    "**ignite.**": "ignite",
    "**timm.**": "timm.optim",
    "**torchtitan": None,
    "**An optimizer in the backward": None,
    "**Two optimizers**": None,
}


def block_after(words: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(words) == 1
    found = re.search(r"```python\n(.*?)```", text[text.index(words) :], re.DOTALL)
    assert found is not None
    return found[1]


def test_every_block_is_run_here() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks == [block_after("# In your stack"), *map(block_after, NEEDS)]


@pytest.mark.parametrize("words", NEEDS)
def test_the_recipe_makes_zeros(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if NEEDS[words] is not None:
        needed = "torchvision" if words == "**timm.**" else NEEDS[words]
        for name in (needed, NEEDS[words]):
            pytest.importorskip(name, reason=f"{name} is not installed")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec("from shrinkage import L1\nfrom shrinkage.torch import Regularizer", names)
    exec(block_after("# In your stack"), names)
    before = set(names)
    block = block_after(words)
    exec(block, names)
    lines = [line for line in block.splitlines() if line and "import" not in line]
    if words.startswith("**"):
        assert len(lines) <= 10
    if words == "**Two optimizers**":
        alternate(names)
    model = trained_model(names, before)
    assert any((p == 0).any() for p in model.parameters() if p.ndim > 1)


def trained_model(names: dict[str, Any], before: set[str]) -> Any:
    """What the recipe has trained."""
    new = {key: value for key, value in names.items() if key not in before}
    if "net" in new:
        return new["net"].module_
    if "trainer" in new and "Module" in new:
        return new["trainer"].model
    return new.get("generator", new.get("model"))


def alternate(names: dict[str, Any]) -> None:
    generator, critic = names["generator"], names["critic"]
    for inputs, targets in names["loader"]:
        names["judging"].zero_grad()
        (critic(generator(inputs).detach()) - critic(targets)).mean().backward()
        names["judging"].step()
        names["generating"].zero_grad()
        (-critic(generator(inputs))).mean().backward()
        names["generating"].step()
