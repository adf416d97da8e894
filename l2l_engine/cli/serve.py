"""``l2l serve``: a service around plans, until it is told to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from l2l_engine.cli.streams import complain, fatal_errors
from l2l_engine.media import DEFAULT_LIMITS, Limits


def serve(  # noqa: PLR0917 - typer makes an option of each
    plan: Annotated[
        list[str],
        typer.Option("--plan", "-p", help="[NAME=]FILE; several, each by its name.", show_default=False),
    ],
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is everywhere.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Predictions in work at once.")] = 2,
    queue: Annotated[int, typer.Option(min=0, help="Predictions that may wait besides.")] = 16,
    uploads: Annotated[int, typer.Option(min=1, help="Files that may come in at once.")] = 32,
    max_bytes: Annotated[int, typer.Option(min=1, help="Largest file, in bytes.")] = 2**30,
    max_duration: Annotated[float, typer.Option(help="Longest file, in seconds.")] = DEFAULT_LIMITS.duration,
    max_pixels: Annotated[int, typer.Option(min=1, help="Largest frame.")] = DEFAULT_LIMITS.pixels,
    timeout: Annotated[float, typer.Option(help="Seconds for an answer, the wait included.")] = 60.0,
    upload_timeout: Annotated[float, typer.Option(help="Seconds for a file to come in.")] = 300.0,
    allow: Annotated[
        str,
        typer.Option(help="Protocols of URIs that may be named: https,http,s3,gs,file", show_default="none"),
    ] = "",
    root: Annotated[
        Path | None, typer.Option(help="Folder that file URIs may name files in.", show_default="none")
    ] = None,
    device: Annotated[str, typer.Option(help="What does the work: auto, cpu, cuda, cuda:1 ….")] = "auto",
    precision: Annotated[str, typer.Option(help="Arithmetic of the encoders.")] = "auto",
) -> None:
    """Serve plans over HTTP: a page at /, POST /predict and /timeline, the Open Inference Protocol, /metrics.

    It answers this machine alone unless --host says otherwise. It takes no passwords and speaks no TLS: put
    it behind a server that does. SIGTERM ends it once everything that was let in is answered.

    Examples:

      l2l serve --plan engine.plan

      l2l serve --plan day=day.plan --plan night=night.plan --host 0.0.0.0 --allow https
    """
    try:
        # An extra, and a third of a second: nobody else pays for it.
        from l2l_engine.serve import Settings  # noqa: PLC0415
        from l2l_engine.serve import serve as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        complain(f"{error.name} is not installed: pip install 'l2l_engine[service]'")
        raise typer.Exit(2) from error
    chosen: dict[str, Any] = {"device": device, "precision": precision}  # the Classifier refuses the rest
    with fatal_errors():
        settings = Settings(
            plans=_plans(plan),
            workers=workers,
            queue=queue,
            uploads=uploads,
            max_bytes=max_bytes,
            timeout_s=timeout,
            upload_s=upload_timeout,
            allow=tuple(filter(None, (word.strip() for word in allow.split(",")))),
            root=root,
            limits=Limits(pixels=max_pixels, duration=max_duration),
            **chosen,
        )
        if not run(settings, host=host, port=port):
            raise typer.Exit(2)


def _plans(words: list[str]) -> dict[str, Path]:
    """Plans by name; a file without one is called after itself."""
    plans: dict[str, Path] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not equals:
            name, file = Path(word).stem, word
        if name in plans:
            raise ValueError(f"--plan: there are two plans called {name!r}")
        plans[name] = Path(file)
    return plans
