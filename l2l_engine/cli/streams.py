"""Standard output and error: what is said there, and what becomes of it if nobody can read it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from l2l_engine.errors import L2LError
from l2l_engine.report.words import visible


def stand_in_for_closed() -> None:
    """Have something in the place of standard streams that were closed before the program began.

    Else the next file that is opened becomes standard output. Nobody misses words for a closed standard
    error; results that nobody can get are an error, so writing them fails, as on a full disk.
    """
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, flags)
            setattr(sys, name, os.fdopen(handle, "r" if name == "stdin" else "w", encoding="utf-8"))


def complain(message: str) -> None:
    """Say it on standard error, in a line."""
    typer.echo(f"l2l: {visible(message)}", err=True)


@contextmanager
def fatal_errors() -> Iterator[None]:
    """Errors that leave nothing to go on with: said in a line, exit status 2."""
    with unwritable():
        try:
            yield
        except (L2LError, ValueError) as error:
            raise _ended(str(error), 2) from error


@contextmanager
def unwritable() -> Iterator[None]:
    """Errors of reading and writing; of standard output that takes no more, above all."""
    try:
        yield
    except BrokenPipeError as error:  # ``| head`` has seen enough; that is nothing to complain about
        raise _ended("", 1) from error
    except OSError as error:
        closed = error.errno == errno.EBADF
        raise _ended("there is no standard output to write to" if closed else str(error), 2) from error


def _ended(message: str, status: int) -> typer.Exit:
    _give_up_stdout()
    if message:
        complain(message)
    return typer.Exit(status)


def _give_up_stdout() -> None:
    """If standard output takes no more, drop what waits for it: Python would try again on its way out."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
