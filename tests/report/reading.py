"""A page read back: strict about what a browser would forgive."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"img", "link", "meta"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def all(self, tag: str, **attributes: str) -> list[Node]:
        """Every node below with this tag and these attributes; ``class_`` may be one of several."""
        found = []
        for child in self.children:
            if child.tag == tag and all(child.has(name, value) for name, value in attributes.items()):
                found.append(child)
            found += child.all(tag, **attributes)
        return found

    def has(self, name: str, value: str) -> bool:
        given = self.attributes.get(name.rstrip("_").replace("_", "-"), "")
        return value in given.split() if name == "class_" else value == given

    @property
    def text(self) -> str:
        return " ".join("".join(self._words()).split())

    def _words(self) -> list[str]:
        return self.words + [word for child in self.children for word in [" ", *child._words()]]

    def every(self) -> list[Node]:
        return [self, *(node for child in self.children for node in child.every())]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert max(Counter(name for name, _ in attrs).values(), default=1) == 1, f"<{tag}> {attrs}"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def done(self) -> Node:
        assert self._open == [self.root], "not everything is closed"
        return self.root


def read(html: str) -> Node:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.done()


def skeleton(node: Node) -> list[Any]:
    """The elements and the names of their attributes, without any words."""
    return [node.tag, sorted(node.attributes), [skeleton(child) for child in node.children]]
