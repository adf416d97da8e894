"""Every format, read back by the program that it is for, with names that try to break it."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from dataclasses import replace

import opentimelineio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from l2l_engine import L2LError, Prediction, formats
from l2l_engine.report.words import visible
from tests.formats.conftest import chapters_of, cues, tiled, when
from tests.report.cases import from_features, make

FILMS = ("otio", "edl")
HOSTILE = (
    "ball bouncing",
    'say "hi"',
    "it's; a = b # c \\ d",
    "two\nlines\r\n\nand a blank one",
    "1\n00:00:01,000 --> 00:00:02,000\nanother cue",
    "a --> b",
    "<b>bold</b> <i>",
    "<v Someone>&lt;x&gt; rock & roll &nbsp;",
    "{\\an8}up {\\b1} \\N \\h",
    "[CHAPTER]\nSTART=7",
    "* FROM CLIP: x FF",
    "TITLE: t",
    "NOTE x",
    "\t tabs\tand spaces  ",
    "مرحبا بالعالم",
    "עברית and English",
    "\u202egpj.\u2066exe\u2028\u2029\x85",
    "nul \x00 bell \x07 \x1b[31m",
    "\udcff\ud800",
    "映画 👩\u200d🚀",
    "007",
    "-1",
    " ",
    "x" * 5000,
)
names = st.sampled_from(HOSTILE) | st.text(max_size=12)
moments = st.floats(0, 80_000) | st.floats(0, 12).map(lambda second: round(second, 1))
segments = st.lists(
    st.tuples(names, moments, st.floats(1e-4, 5000) | st.floats(0.1, 9)).map(
        lambda s: (s[0], s[1], s[1] + s[2])
    ),
    max_size=6,
)

ALL = [(name, 2.0 * place, 2.0 * place + 1 + place % 3) for place, name in enumerate(HOSTILE)]
"""Every hostile name once, some of them at once."""


def by_start(found: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    return sorted(found, key=lambda entry: entry[1:])


def one_line(name: str) -> str:
    """What docs/formats.md promises of every name that has a line of its own."""
    words = visible(name).strip() or "?"
    return words if len(words) <= 500 else words[:499] + "…"


def units(found: list[tuple[str, float, float]], rate: float) -> list[tuple[int, int, str]]:
    return [
        (round(begin * rate), max(round(begin * rate) + 1, round(end * rate)), one_line(name))
        for name, begin, end in by_start(found)
    ]


def widened(name: str) -> str:
    """What docs/formats.md says of SRT, but for ``&``: no reader here shows what it makes of entities."""
    return name.translate(str.maketrans("<>{}\\", "＜＞｛｝＼")).replace("＆", "&")


@example(ALL)
@given(segments)
@settings(max_examples=25, deadline=None)
def test_ffmpeg_reads_every_cue(found: list[tuple[str, float, float]]) -> None:
    # What is there twice, to the millisecond, FFmpeg shows once where it follows itself.
    prediction, expected = when(*found), list(dict.fromkeys(units(found, 1000)))
    if found:  # FFmpeg knows SRT by its first cue
        read = dict.fromkeys(cues(formats.srt(prediction), "srt"))
        assert [(a, b, words.replace("＆", "&")) for a, b, words in read] == [
            (a, b, widened(words)) for a, b, words in expected
        ]
    assert list(dict.fromkeys(cues(formats.vtt(prediction), "webvtt"))) == expected


@example(ALL)
@given(segments)
@settings(max_examples=25, deadline=None)
def test_ffmpeg_reads_every_chapter(found: list[tuple[str, float, float]]) -> None:
    expected = [(a, b, re.sub(r"\\$", "＼", name)) for a, b, name in tiled(units(found, 1000))]
    assert chapters_of(formats.chapters(when(*found))) == expected


@example(ALL, None)
@given(segments, st.sampled_from([None, 10.0, 24.0, 30000 / 1001, 60.0]))
@settings(max_examples=25, deadline=None)
def test_opentimelineio_reads_every_marker(found: list[tuple[str, float, float]], fps: float | None) -> None:
    text = formats.otio(when(*found), fps)
    timeline = opentimelineio.adapters.read_from_string(text, "otio_json")
    rate = fps or 10.0
    video, sound = timeline.tracks
    assert (video.kind, sound.kind, len(video), len(sound)) == ("Video", "Audio", 1, 1)
    assert video[0].media_reference.target_url.endswith("/event.mp4")
    assert video[0].source_range.duration.value == math.ceil(6.0 * rate)
    markers = video[0].markers
    spans = [(m.marked_range.start_time, m.marked_range.end_time_exclusive()) for m in markers]
    read = [(a.value, b.value, m.name) for (a, b), m in zip(spans, markers, strict=True)]
    assert read == units(found, rate)
    assert all(a.rate == rate for a, _ in spans)
    for marker, (_, begin, end) in zip(markers, by_start(found), strict=True):
        exact = marker.metadata["l2l_engine"]
        assert [exact["start_s"], exact["end_s"]] == pytest.approx([begin, end], rel=1e-12)
        assert exact["score"] == 0.75


@example(ALL, None)
@given(segments, st.sampled_from([None, 24.0, 25.0, 30000 / 1001]))
@settings(max_examples=25, deadline=None)
def test_opentimelineio_reads_every_event(found: list[tuple[str, float, float]], fps: float | None) -> None:
    rate = fps or 24.0
    expected = tiled(units(found, rate))
    text = formats.edl(when(*found), fps)
    timeline = opentimelineio.adapters.read_from_string(text, "cmx_3600", rate=rate)
    assert timeline.name == "event.mp4"
    events = list(timeline.find_clips())
    read, recorded = [], []
    for event in events:
        span, record = event.source_range, event.range_in_parent()
        read.append((span.start_time.value, span.end_time_exclusive().value, event.name))
        recorded.append(record.start_time.value)
        assert event.media_reference.target_url.endswith("/event.mp4")
    assert read == expected
    # An EDL says nothing of what comes before its first event.
    assert [at - recorded[0] for at in recorded] == [a - expected[0][0] for a, _, _ in expected]


@example(ALL)
@given(segments)
@settings(max_examples=25, deadline=None)
def test_rows_keep_every_name_and_number(found: list[tuple[str, float, float]]) -> None:
    rows = list(csv.DictReader(io.StringIO(formats.segments_csv(when(*found)), newline="")))
    kept = [
        name.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
        for name, _, _ in by_start(found)
    ]
    assert [row["label"] for row in rows] == kept
    assert [(float(row["start_s"]), float(row["end_s"])) for row in rows] == [s[1:] for s in by_start(found)]
    assert all((row["path"], row["score"]) == ("event.mp4", "0.75") for row in rows)
    lines = formats.audacity(when(*found)).splitlines()
    for line, (name, begin, end) in zip(lines, by_start(found), strict=True):
        low, high, words = line.split("\t")
        assert (float(low), float(high), words) == (
            pytest.approx(begin, abs=1e-6),
            pytest.approx(end, abs=1e-6),
            one_line(name),
        )


def test_what_a_player_gets() -> None:
    prediction = when(("star <shaking>", 3661.5, 3662.0), ("ball bouncing", 0.25, 2.0))
    assert formats.srt(prediction) == (
        "1\n00:00:00,250 --> 00:00:02,000\nball bouncing\n\n"
        "2\n01:01:01,500 --> 01:01:02,000\nstar ＜shaking＞\n"
    )
    assert formats.vtt(prediction) == (
        "WEBVTT\n\n1\n00:00:00.250 --> 00:00:02.000\nball bouncing\n\n"
        "2\n01:01:01.500 --> 01:01:02.000\nstar &lt;shaking&gt;\n"
    )
    assert formats.audacity(prediction).startswith("0.250000\t2.000000\tball bouncing\n")


@pytest.mark.parametrize("name", formats.FORMS)
def test_nothing_happens_and_nothing_is_known(name: str) -> None:
    form = formats.FORMS[name]
    assert "ball" not in form.write(when())
    for prediction in (make(), from_features()):
        with pytest.raises(formats.NoSegmentsError, match="no settings for segments") as caught:
            form.write(prediction)
        assert isinstance(caught.value, L2LError)
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", FILMS)
def test_a_frame_rate_is_the_files_or_asked_for(name: str) -> None:
    write = formats.FORMS[name].write
    sound = when(("ball bouncing", 1.0, 2.0), looks=False)
    with pytest.raises(formats.FrameRateError, match="--fps"):
        write(sound)
    assert "ball bouncing" in write(sound, fps=25)
    for fps in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="fps"):
            write(sound, fps=fps)
    features = replace(from_features(), segments=())
    assert write(features, fps=25.0)


@pytest.mark.parametrize(
    ("own", "frames"),
    [(10.0, 24), (15.0, 24), (24000 / 1001, 24), (29.87, 30), (29.97, 30), (25.0, 25), (144.0, 60)],
)
def test_an_edl_counts_as_editors_do(own: float, frames: int) -> None:
    """Second 1.5 of a file of any rate is half a second after the first."""
    prediction = when(("ball bouncing", 1.5, 2.0))
    assert prediction.media is not None
    streams = tuple(replace(stream, frame_rate=own) for stream in prediction.media.streams[:1])
    prediction = replace(prediction, media=replace(prediction.media, streams=streams))
    (line,) = (line for line in formats.edl(prediction).splitlines() if line.startswith("001"))
    assert line.split()[4].replace(";", ":") == f"00:00:01:{round(1.5 * frames) - frames:02}"
    with pytest.raises(formats.FrameRateError, match="an EDL counts"):
        formats.edl(prediction, fps=10)


@pytest.mark.parametrize(
    "path",
    [
        "映画.mp4",
        "BL.mp4",
        "bars.mkv",
        ".mp4",
        "a b/c\nd.mp4",
        "s3://bucket/x y.mp4",
        "C:\\clips\\mine.mp4",
        "odd\udcff.mp4",
        None,
    ],
)
def test_films_of_any_file(path: str | None) -> None:
    prediction = when(("ball bouncing", 1.0, 2.0), path=path)
    for name, rate in (("otio_json", 10.0), ("cmx_3600", 24.0)):
        text = formats.otio(prediction) if name == "otio_json" else formats.edl(prediction)
        options = {} if name == "otio_json" else {"rate": rate}
        timeline = opentimelineio.adapters.read_from_string(text, name, **options)
        clip = next(iter(timeline.find_clips()))
        reference = clip.media_reference
        if path is None:
            assert isinstance(reference, opentimelineio.schema.MissingReference)
        elif path.startswith("s3:"):
            assert reference.target_url == path
        else:
            assert reference.target_url.startswith("file:///")
            assert reference.target_url.isascii()


@pytest.mark.parametrize("name", FILMS)
def test_without_opentimelineio_it_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(
        formats.EditingUnavailableError, match=r"pip install 'l2l_engine\[editing\]'"
    ) as caught:
        formats.FORMS[name].write(when(), fps=25)
    assert isinstance(caught.value, L2LError)
    assert isinstance(caught.value, ImportError)


def test_segments_go_through_json() -> None:
    prediction = when(("ball bouncing", 1.0, 2.0))
    assert formats.vtt(Prediction.from_json(json.dumps(prediction.to_dict()))) == formats.vtt(prediction)
