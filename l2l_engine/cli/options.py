"""Options that several commands take, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PlanFile = Annotated[
    Path,
    typer.Option("--plan", "-p", envvar="L2L_PLAN", help="The plan file.", show_default="engine.plan"),
]
Files = Annotated[
    list[str], typer.Argument(help="Video or sound files, folders, or URLs.", show_default=False)
]
MaxImageGap = Annotated[
    float | None,
    typer.Option(help="Largest gap between frames, in seconds.", show_default="the plan's"),
]
MaxKnots = Annotated[
    int | None, typer.Option(min=1, help="Most frames and most sounds to decode, whatever the length.")
]
Timeout = Annotated[float | None, typer.Option(help="Seconds before a file is given up.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Go into folders inside folders.")]
