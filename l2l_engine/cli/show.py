"""Plans as text for people, and where people read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from textwrap import shorten

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from l2l_engine.backends import EngineCache
from l2l_engine.errors import PlanError
from l2l_engine.plan import PRECISIONS, CompiledSettings, Plan, PlanDocument
from l2l_engine.report.words import count, visible

_WIDTH = 116
"""Characters of a line of provenance, where it can be broken up."""
_LONGEST = 2 * _WIDTH
"""Characters of one name or value; more is cut off."""
_MOST_LINES = 12
"""Lines that a group of provenance may take; settings of a whole training are ten times that."""
_DEPTH = 4
"""Levels of provenance that are shown: it is whatever JSON the writer of a plan put there."""


def console(*, stderr: bool = False) -> Console:
    """Where people read: results are not wrapped, and ``:smile:`` in a file name stays what it is."""
    # A progress bar, drawn on standard error, must fit the terminal's width.
    return Console(stderr=stderr, emoji=False, highlight=False, soft_wrap=not stderr)


def literal(text: str) -> str:
    """``text`` as it is, for ``Console.print``: neither markup nor the terminal's control characters."""
    return escape(visible(text))


def plan(out: Console, content: Plan) -> None:
    """Print what a plan holds."""
    document, sizes = content.document, content.dimensions
    out.print(f"[bold]{literal(str(content.path))}[/bold]  {content.sha256}")
    facts = {
        "classes": _classes(document),
        "output": document.output,
        **_thresholds(document),
        "modalities": ", ".join(document.modalities),
        "skimmer": _sentence(asdict(document.skim)),
        "recogniser": "none" if document.recogniser is None else _sentence(asdict(document.recogniser)),
        "sizes": _sentence({name: size for name, size in asdict(sizes).items() if size}),
        "graphs": "",
        "compiled": "" if content.compiled else "nothing",
        "media": _sentence(asdict(document.media)),
        "sampling": _sentence(asdict(document.sampling)),
        "temperature": ", ".join(f"{t:.3f}" for t in document.calibration) or "1",
    }
    for name, fact in facts.items():
        out.print(f"  {name:<12} {literal(fact)}")
        if name == "graphs":
            _graphs(out, content)
        if name == "compiled":
            _engines(out, content)
    if document.provenance:
        out.print("  provenance")
        for line in outline(document.provenance):
            out.print(f"    {literal(line)}")
    out.print(_tensors(content))


def _classes(document: PlanDocument) -> str:
    if document.tags is None:
        return f"{len(document.classes)}: {', '.join(document.classes)}"
    verbs = {"image": "seen", "audio": "heard"}
    counts = ", ".join(f"{len(tags.names):,} {verbs[m]}" for m, tags in sorted(document.tags.items()))
    return f"{len(document.classes):,}, which are tags, not actions: {counts}"


def _thresholds(document: PlanDocument) -> dict[str, str]:
    """What keeps an answer from being given, where the plan has anything of it."""
    facts = {}
    if document.unsure is not None:
        facts["unsure"] = f"below a confidence of {document.unsure:.3g}"
    if document.background:
        facts["background"] = ", ".join(document.background)
    if document.thresholds:
        facts["labels"] = f"from probabilities of {_span(document.thresholds)}"
    if (segments := document.segments) is not None:
        scores = f"from scores of {_span(segments.thresholds)}"
        facts["segments"] = f"{scores}, smoothed over {segments.smooth_s:.2f} s"
    return facts


def plan_json(content: Plan) -> str:
    """All that a plan says, as one JSON object: its document, and what only this machine can add to it.

    Raises:
        PlanError: The provenance is nested deeper than JSON can be written.
    """
    try:
        document = content.document.to_dict()
        told = {
            "path": str(content.path),
            "sha256": content.sha256,
            **document,
            "sizes": asdict(content.dimensions),
            "built_here": {name: _built_here(content, name) for name in content.compiled},
            "tensors": content.tensors,
        }
        return json.dumps(told, indent=2)
    except RecursionError as error:
        raise PlanError(f"{content.path}: the provenance is nested too deeply") from error


def outline(facts: Mapping[str, object], depth: int = 0) -> list[str]:
    """Free-form JSON as indented lines that fit a terminal; what would fill it is named and counted alone."""
    lines: list[str] = []
    for name, value in facts.items():
        start = "  " * depth + f"{_cut(str(name).replace('_', ' ')):<{20 - 2 * depth}}"
        words = _flat(value)
        if not isinstance(value, Mapping) or len(start) + len(words) < _WIDTH:
            lines.append(f"{start} {_cut(words)}")
            continue
        inner = outline(value, depth + 1) if depth < _DEPTH else []
        if 0 < len(inner) <= _MOST_LINES:
            lines += [start.rstrip(), *inner]
        else:
            names = shorten(", ".join(map(str, value)), _WIDTH // 2, placeholder=" …")
            lines.append(f"{start} {count(len(value), 'entry', 'entries')} ({names}): see --json")
    return lines


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _flat(value: object, depth: int = 0) -> str:
    """JSON on one line, without its punctuation; past ``_DEPTH`` levels an ellipsis stands for the rest."""
    if isinstance(value, (Mapping, list)) and depth > _DEPTH:
        return "…"
    if isinstance(value, Mapping):
        parts = (f"{str(name).replace('_', ' ')} {_flat(v, depth + 1)}" for name, v in value.items())
        words = ", ".join(parts)
        return f"({words})" if depth else words
    if isinstance(value, list):
        return "[" + ", ".join(_flat(entry, depth + 1) for entry in value) + "]"
    if isinstance(value, float):
        return f"{value:.4g}"
    plain = {None: "none", True: "yes", False: "no"}
    return plain[value] if value is None or isinstance(value, bool) else str(value)


def _graphs(out: Console, content: Plan) -> None:
    """A line a precision: sizes, and what its export measured."""
    measured = content.document.provenance.get("precisions")
    for precision in PRECISIONS:
        parts = {
            name.partition(".")[0]: graph
            for name, graph in content.graphs.items()
            if name.endswith(f".{precision}")
        }
        if not parts:
            continue
        words = [f"{part} {len(graph) / 1e6:.2f} MB" for part, graph in sorted(parts.items())]
        facts = measured.get(precision) if isinstance(measured, Mapping) else None
        if isinstance(facts, Mapping) and isinstance(facts.get("top1"), (int, float)):
            words.append(f"top-1 {facts['top1']:.1%} of {facts.get('videos')} validation videos")
        out.print(f"    {precision:<18} {literal(', '.join(words))}")


def _engines(out: Console, content: Plan) -> None:
    for name, settings in sorted(content.document.compiled.items()):
        here = _built_here(content, name)
        words = f"{settings.precision}, {len(content.compiled[name]) / 1e6:.2f} MB, {runs_on(settings)}"
        out.print(f"    {name:<18} {literal(words)}, {'' if here else 'not '}built here")


def _built_here(content: Plan, name: str) -> bool:
    digest = content.tensors[f"compiled.{name}"]["sha256"]
    return EngineCache().has_built(name.partition(".")[0], content.document.compiled[name], digest)


def runs_on(settings: CompiledSettings) -> str:
    """Version, device and batches of an engine, in words."""
    batch = "any batch"
    if settings.batch is not None:
        least, best, most = settings.batch
        batch = f"batch {least} to {most}, best {best}"
    return f"version {settings.version}, for {settings.device}, {batch}"


def _span(numbers: Sequence[float]) -> str:
    return "-".join(dict.fromkeys(f"{number:.3g}" for number in (min(numbers), max(numbers))))


def _sentence(settings: dict[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())


def _tensors(content: Plan) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("tensor", "dtype", "shape", "sha256"):
        table.add_column(title)
    for name in sorted(content.tensors):
        entry = content.tensors[name]
        shape = "×".join(map(str, entry["shape"]))
        if entry["dtype"] == "U8":
            shape = f"{entry['shape'][0] / 1e6:.2f} MB"
        table.add_row(literal(name), entry["dtype"], shape, entry["sha256"][:16])
    return table
