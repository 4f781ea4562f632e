"""The picture of the rooms is drawn from the contract that holds them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_picture_is_what_its_script_draws() -> None:
    spec = importlib.util.spec_from_file_location("architecture", DOCS / "architecture.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert writer.PICTURE.read_text("utf-8") == writer.draw(), "run python docs/architecture.py"
    rooms = [room for layer in writer.read_layers() for room in layer]
    assert set(rooms) <= set(writer.PURPOSES)
    assert all(f">{room}</text>" in writer.draw() for room in rooms)
