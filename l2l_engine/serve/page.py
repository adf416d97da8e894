"""The page at ``/``: drop a video, see how far it is, then its timeline; nothing comes from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from l2l_engine.report.markup import Markup, element
from l2l_engine.report.page import policy, style_and_script
from l2l_engine.serve.requests import service_of


async def page(request: Request) -> Response:
    """The page; a frame in it shows timelines, so that their style and script are allowed here too."""
    service = service_of(request)
    style, script, html = (_resource(f"page.{kind}") for kind in ("css", "js", "html"))
    their_style, their_script = style_and_script()
    content = Template(html).substitute(
        style=style,
        script=script,
        most=_bytes(service.settings.max_bytes),
        plans=_plans(service.models.names),
    )
    allowed = policy(
        [style, their_style],
        [script, their_script],
        connect_src="'self'",
        form_action="'self'",
        frame_ancestors="'none'",
    )
    return HTMLResponse(content, headers={"Content-Security-Policy": allowed})


def _plans(names: tuple[str, ...]) -> str:
    """A choice, where there is one."""
    if len(names) < 2:
        return ""
    choices = (element("option", name, value=name) for name in names)
    return element("label", Markup("By the plan "), element("select", *choices, name="plan"))


def _bytes(most: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if most >= size:
            return f"{most / size:.3g} {unit}"
    return f"{most} bytes"


def _resource(name: str) -> str:
    return files("l2l_engine.serve").joinpath(name).read_text(encoding="utf-8")
