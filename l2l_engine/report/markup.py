"""HTML that is escaped unless it was built here: a forgotten call can show too much, never run."""

from __future__ import annotations

from html import escape

_VOID = {"img", "link", "meta"}


class Markup(str):
    """Text that is HTML already; every other string is escaped when it becomes part of an element."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """One element.

    Args:
        tag: Its name.
        children: Markup, text (which is escaped), or None for nothing.
        attributes: ``class_`` is class, ``aria_label`` is aria-label; None and False leave one out, True
            writes it without a value.
    """
    head = tag + "".join(_attribute(name, value) for name, value in attributes.items())
    return Markup(f"<{head}>" if tag in _VOID else f"<{head}>{join(*children)}</{tag}>")


def join(*children: str | None) -> Markup:
    """Children one after another."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(child, quote=False)
            for child in children
            if child is not None
        )
    )


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
