"""Pages of results in Markdown: Jinja templates, ``*.md.j2``, that lie beside the code that has the numbers.

A paragraph may be broken into lines in its template (``{% filter paragraph %}``); on the page it is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).parents[1]


def render(template: str, **values: Any) -> str:
    """Fill in a template.

    Args:
        template: Its path in the repository, such as "training/tables/page.md.j2".
        values: What its variables stand for.

    Raises:
        jinja2.UndefinedError: If the template asks for a value that there is not.
    """
    return _environment.get_template(template).render(values)


def percent(share: float, digits: int = 1) -> str:
    """A share of 1 as a percentage."""
    return f"{100 * share:.{digits}f} %"


def _cell(value: object) -> str:
    """A value that may hold a bar, which would end the cell of a table."""
    return str(value).replace("|", "\\|")


def _paragraph(text: str) -> str:
    """The lines of a paragraph as one: templates break lines where their readers want them to."""
    return text.strip().replace("\n", " ") + "\n"


_environment = Environment(
    loader=FileSystemLoader(ROOT),
    undefined=StrictUndefined,
    # Markdown is not HTML: nothing is escaped but the bars in cells.
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_environment.filters |= {"percent": percent, "number": format, "cell": _cell, "paragraph": _paragraph}
