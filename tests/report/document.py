"""A page taken apart by an HTML parser, for tests to look into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "path", "circle", "br", "wbr"}


class Document(HTMLParser):
    """A page taken apart: every element with its attributes and its own text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: dict[int, str] = {}
        self._open: list[int] = []
        self.feed(page)
        self.close()
        assert not self._open, "an element is left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.text[index] = self.text.get(index, "") + data

    def find(self, tag: str, **attributes: str) -> Iterator[tuple[dict[str, str], str]]:
        """Attributes and text of the elements that have the tag and the attributes."""
        for index, (name, own) in enumerate(self.elements):
            if name == tag and all(own.get(key) == value for key, value in attributes.items()):
                yield own, self.text.get(index, "")

    def one(self, tag: str, **attributes: str) -> str:
        """The text of the only such element."""
        ((_, text),) = self.find(tag, **attributes)
        return text

    @property
    def drawn(self) -> dict[str, dict]:
        """All that the page's script draws. Refuses NaN, which is no JSON."""
        return json.loads(self.one("script", id="figures"), parse_constant=_refuse)

    @property
    def figures(self) -> dict[str, dict]:
        """The plots alone, by name."""
        return self.drawn["plots"]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
