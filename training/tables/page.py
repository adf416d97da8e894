"""The paper's tables as a page; every number comes from the JSON beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from training.tables.clips import clip_markdown
from training.tables.markdown import knots_table, percent, table
from training.tables.provenance import trained_with

Row = Mapping[str, Any]
Report = Mapping[str, Any]

METHOD_HEAD = ("method", "top-1", "95 % interval", "mAP", "GMAC a video", "ms a video", "calibration error")
NOT_RUN = "not run"


def markdown(report: Report) -> str:
    """The report as a page."""
    sections = (
        _head,
        lambda report: trained_with(report["trained"]),
        _expected,
        _video,
        _costs,
        _clips,
        _sparse_and_early,
        _combinations,
        _knots,
        _as_sparse,
        _longer,
        _presets,
        _seeds,
        _classes,
        _calibration,
        _moments,
        _made_by,
    )
    return "\n".join(line for section in sections for line in section(report))


def _head(report: Report) -> Iterator[str]:
    test = report["test"]
    yield from (
        f"# The paper's tables on {report['data']}",
        "",
        f"{test['videos']} test videos of {test['classes']} classes that no training used, on average "
        f"{test['mean_s']:.0f} s or {test['mean_timestamps']:.0f} timestamps {test['hop']:.3f} s apart; "
        f"{test['without_sound']} have no sound. All methods work on the same features of the same student; "
        f"what was not trained says `{NOT_RUN}`.",
        "",
    )


def _expected(report: Report) -> Iterator[str]:
    yield from ("## What was expected, and what came out", "")
    verdicts = {True: "yes", False: "**no**", None: NOT_RUN}
    found = [[item["claim"], verdicts[item["met"]], item["found"]] for item in report["expectations"]]
    yield from table(["expected from the paper", "came out", "found"], *found)
    if report["found"] is not None:
        yield from (f"What was found where a row says no: [{report['found']}]({report['found']}).", "")


def _video(report: Report) -> Iterator[str]:
    settings = report["settings"]
    yield from ("## Video level (Table 1)", "")
    yield from methods(report["video"])
    yield from (
        f"Sparse is every {settings['factor']}th timestamp, and what lies between two of them interpolated; "
        f"{settings['steps']} steps. RANDOM to END average ten pairs. GMAC are 10^9 multiply-adds of all "
        "networks on what a method needs of a video, by PyTorch's counter (half of its floating-point "
        "operations); ours is counted as it stands in PyTorch, and the engine, which folds the keys into "
        "the queries, needs fewer. Milliseconds were "
        f"measured in PyTorch on the machine that wrote this page (threads: {settings['threads']}): medians "
        "for an image, a window and what follows the encoders, times how often a video needs them; decoding "
        "is not in them. The calibration error is of the scores as they are, in 10 bins.",
        "",
    )
    learned = ", ".join(f"{name} {updates}" for name, updates in report["trained"]["updates"].items())
    yield from (f"Updates that each learned for, in batches of features: {learned or 'none'}.", "")
    if report["differences"]:
        ahead = [
            [name, f"{row['points']:+.1f}", f"{row['low']:+.1f} to {row['high']:+.1f}"]
            for name, row in report["differences"].items()
        ]
        yield from table(
            ["ours (sparse) ahead of", "points", "95 % interval of the paired difference"], *ahead
        )


def methods(rows: Sequence[Row]) -> list[str]:
    """A table of methods."""
    return table(METHOD_HEAD, *map(_method, rows))


def _method(row: Row) -> list[str]:
    if "top1" not in row:
        return [row["method"], NOT_RUN, *["-"] * (len(METHOD_HEAD) - 2)]
    return [
        row["method"],
        *_top1(row),
        percent(row["map"]),
        f"{row['gmac']:.3f}",
        f"{1000 * row['seconds']:.0f}",
        percent(row["ece"]),
    ]


def _top1(row: Row) -> list[str]:
    return [percent(row["top1"]), f"{percent(row['low'])} to {percent(row['high'])}"]


def _costs(report: Report) -> Iterator[str]:
    costs = report["costs"]
    names = {
        "image": "one image",
        "window": "one second of sound, spectrogram included",
        "clip": "one clip of 16 frames through the teacher",
        "classifier": "one pair through fusion and the clip classifier",
    }
    yield from ("## What the parts cost", "")
    yield from table(
        ["part", "GMAC", "ms"],
        *(
            [words, f"{costs[name]['gmac']:.5f}", f"{1000 * costs[name]['seconds']:.3f}"]
            for name, words in names.items()
            if name in costs
        ),
    )
    if "skim" in costs:
        skim = costs["skim"]
        yield from (
            f"A skim of a video of median length, {skim['steps']} steps over {skim['timestamps']} timestamps "
            f"with {skim['image_knots']} image knots and {skim['audio_knots']} audio knots, takes "
            f"{1000 * skim['seconds']:.1f} ms in PyTorch, and in 10^6 multiply-adds (attention is scores and "
            "mixtures of Eq. 6-8; every knot needs key once, and pair where banks are joined first):",
            "",
        )
        yield from table(list(skim["macs"]), [f"{macs / 1e6:.3f}" for macs in skim["macs"].values()])


def _clips(report: Report) -> Iterator[str]:
    yield from clip_markdown(report["clips"]) or ("## Clip level (Fig. 5)", "", NOT_RUN, "")


def _sparse_and_early(report: Report) -> Iterator[str]:
    factors, steps = report["curves"]["factors"], report["curves"]["steps"]
    yield from ("## Sparse features and early stopping (Fig. 6)", "")
    if not factors:
        yield from (NOT_RUN, "")
        return
    yield from (f"![Top-1 by subsampling factor and by steps]({report['plots']['curves']})", "")
    yield from table(
        ["every k-th timestamp", "top-1", "95 % interval", "mAP", "GMAC a video"],
        *([row["factor"], *_top1(row), percent(row["map"]), f"{row['gmac']:.3f}"] for row in factors),
    )
    yield from table(
        ["steps", *(f"{name}: {what}" for name in steps for what in ("top-1", "GMAC"))],
        *(
            [at[0]["steps"], *(cell for row in at for cell in (percent(row["top1"]), f"{row['gmac']:.3f}"))]
            for at in zip(*steps.values(), strict=True)
        ),
    )
    yield from knots_table(report["knots_inside"], report["settings"]["early"])


def _combinations(report: Report) -> Iterator[str]:
    yield from ("## What chooses and what recognises (Fig. 7, Table 2)", "")
    yield from methods([*_rows_of_ours(report), *report["combinations"]])
    yield from (
        "Ours chooses and recognises by image and sound. `image | image` has a skimmer of its own that sees "
        "and never hears. A recogniser, where there is one, answers from what it sees at the different "
        "moments looked at; its rows have its name after the bar.",
        "",
    )


def _rows_of_ours(report: Report) -> list[Row]:
    return [row for row in report["video"] if row["method"].startswith("ours")]


def _knots(report: Report) -> Iterator[str]:
    yield from ("## Key-frame knots against exact knots", "")
    if not report["policies"]:
        yield from (f"{NOT_RUN}: there is no plan.", "")
    head = ["policy", "top-1", "95 % interval", "points", "frames used", "frames decoded", "ms, all in all"]
    for name, rows in report["policies"].items():
        yield from (f"Set `{name}`, files through `Classifier.predict`:", "")
        yield from table(head, *map(_policy, rows))
    yield from ("## Fewer frames than sound", "")
    yield from methods(report.get("fewer_frames", []))


def _policy(row: Row) -> list[str]:
    return [
        row["policy"],
        *_top1(row),
        f"{row['points']:+.1f}",
        f"{row['image_knots']:.0f}",
        f"{row['frames_decoded']:.0f}",
        f"{1000 * row['median_s']:.0f}",
    ]


def _longer(report: Report) -> Iterator[str]:
    rows = report["longer"]
    names = list(rows[0]["top1"]) if rows else []
    yield from ("## Longer videos", "")
    yield from table(
        ["times as long", "timestamps", *names],
        *(
            [row["times"], f"{row['mean_timestamps']:.0f}", *map(percent, row["top1"].values())]
            for row in rows
        ),
    )
    but = " but `long`, our skimmer trained on videos recombined to up to eight minutes"
    yield from (
        "Top-1 on the same videos with pieces of others between their own, none of them of an action: the "
        "action is a half, or a quarter, as much of the video. Nothing was trained on videos of that length"
        f"{but if any(name.startswith('long') for name in names) else ''}.",
        "",
    )


def _as_sparse(report: Report) -> Iterator[str]:
    yield from (f"## Every method on every {report['settings']['factor']}th timestamp alone", "")
    sparse = [row for row in _rows_of_ours(report) if "sparse" in row["method"]]
    yield from methods([*sparse, *report["as_sparse"]])
    yield from ("As if there were no others: nothing is interpolated. The trained ones learned from all.", "")


def _presets(report: Report) -> Iterator[str]:
    yield from ("## Ways to skim: ours, the paper's, the published modules'", "")
    yield from methods([*_rows_of_ours(report), *report["presets"]])


def _seeds(report: Report) -> Iterator[str]:
    yield from ("## Seeds", "")
    seeds = report["seeds"]
    yield from methods(seeds["rows"])
    if len(seeds["rows"]) < 2:
        yield from (f"Other seeds: {NOT_RUN}.", "")
        return
    spread = seeds["spread"]
    yield from (
        f"{spread['runs']} trainings of the skimmer on the same features: {percent(spread['mean'])} on "
        f"average, {percent(spread['least'])} to {percent(spread['most'])}, standard deviation "
        f"{100 * spread['deviation']:.1f} points.",
        "",
    )


def _classes(report: Report) -> Iterator[str]:
    yield from ("## Gain over UNIFORM by class", "")
    yield from table(
        ["class", "videos", "ours (sparse)", "UNIFORM", "points"],
        *(
            [
                row["class"],
                row["videos"],
                percent(row["ours"]),
                percent(row["uniform"]),
                f"{row['gain']:+.1f}",
            ]
            for row in report.get("classes", [])
        ),
    )


def _calibration(report: Report) -> Iterator[str]:
    yield from ("## Calibration", "")
    yield from table(
        ["steps", "temperature", "calibration error as it is", "at the temperature"],
        *(
            [row["steps"], f"{row['temperature']:.2f}", percent(row["raw"]), percent(row["calibrated"])]
            for row in report.get("calibration", [])
        ),
    )
    yield from (
        "Ours (sparse); temperatures are fitted on the validation set, one for each number of steps.",
        "",
    )


def _moments(report: Report) -> Iterator[str]:
    yield from ("## Moments (Fig. 8)", "")
    if "plots" not in report:
        yield from (NOT_RUN, "")
        return
    yield from (
        f"![Uniform moments beside those chosen]({report['plots']['moments']})",
        "",
        "Five uniform moments of a video, then the first different moments that the skimmer looked at and "
        "listened to, in the order in which it chose them; fewer than five where it returned to them. Red: "
        "inside the true action. Which videos is set beforehand, the first ones unless the settings say so.",
        "",
    )


def _made_by(report: Report) -> Iterator[str]:
    yield from ("Made by:", "", *(f"    {command}" for command in report["commands"]), "")
