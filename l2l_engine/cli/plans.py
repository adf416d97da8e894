"""Commands about plans and machines: what is in a plan, engines for it, whether all works here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from l2l_engine.cli import doctor as doctor_room
from l2l_engine.cli import show
from l2l_engine.cli.compile import BACKENDS, compile_plan
from l2l_engine.cli.streams import fatal_errors
from l2l_engine.plan import PRECISIONS, read_plan


def inspect(
    plan: Annotated[Path, typer.Argument(help="The plan file.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
) -> None:
    """Say what is in a plan: classes, settings, sizes, hashes, provenance.

    Examples:

      l2l inspect engine.plan

      l2l inspect engine.plan --json | jq .provenance
    """
    with fatal_errors():
        content = read_plan(plan)
        if as_json:
            typer.echo(show.plan_json(content))
        else:
            show.plan(show.console(), content)


def compile_(
    plan: Annotated[Path, typer.Argument(help="The plan file.", show_default=False)],
    target: Annotated[
        Path, typer.Option("--output", "-o", help="The plan with engines.", show_default=False)
    ],
    backend: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(BACKENDS)}.", show_default="the first that can build here"),
    ] = None,
    precision: Annotated[str, typer.Option(help=f"Of the graphs: {', '.join(PRECISIONS)}.")] = "fp32",
    batch: Annotated[
        str | None, typer.Option(help="MIN,OPT,MAX samples a call.", show_default="1,32,128")
    ] = None,
) -> None:
    """Build engines from a plan's graphs and write the plan with them.

    An engine is used on this machine; elsewhere only by those who trust it, for it is as good as code.

    Examples:

      l2l compile engine.plan -o gpu.plan --backend tensorrt_rtx --precision fp16 --batch 1,32,128

      l2l compile engine.plan -o engine.plan --backend openvino
    """
    with fatal_errors():
        compile_plan(show.console(), plan, target, backend=backend, precision=precision, batch=batch)


def doctor(
    plan: Annotated[
        Path | None, typer.Option("--plan", "-p", help="Also load this plan and predict with it.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="What the plan is loaded on: auto, cpu, cuda, cuda:1 ….")
    ] = "auto",
) -> None:
    """Say what this machine has and lacks, and test the decoder, the skimmer and, if given, a plan.

    The exit status is 0 only if every test passed.

    Example: l2l doctor --plan engine.plan
    """
    if not doctor_room.report(show.console(), plan, device):
        raise typer.Exit(1)
