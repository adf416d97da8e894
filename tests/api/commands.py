"""Running the command line: in a process of its own, or in this one where that is enough."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from l2l_engine.cli.main import app


def l2l(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "l2l_engine.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)


def inside(*arguments: object) -> tuple[int, str, str]:
    """As ``l2l``, in this process, which is faster: exit status, standard output, standard error."""
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr
