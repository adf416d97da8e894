"""Files as people have them, in every way of asking, against a walk from the first packet to the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from l2l_engine.media import open_media

from .defects import (
    annex_b,
    decoded_after_shown,
    false_keys,
    joined,
    later_fragment,
    moved_tags,
    no_keys,
    two_programmes,
    with_matrix,
    without_presentation_times,
)
from .judging import judged
from .makers import bursts, media, read_index, tone
from .reference import walk


def rising(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A tone that is of another height at every moment."""
    return 0.5 * np.sin(2 * np.pi * (300 + 200 * times) * times)


@dataclass(frozen=True)
class Case:
    make: Callable[[], bytes]
    by_order: bool = False
    video: int = 0
    audio: int = 0
    declared: float = 0.0

    def check(self) -> None:
        content = self.make()
        truth = walk(content, by_order=self.by_order, video=self.video, audio=self.audio)
        assert judged(content, truth, declared=self.declared) == []


CASES: dict[str, Case] = {}
SHORT = {"frames": 100, "size": (64, 64)}
HEARD = SHORT | {"sound": rising}
SOUND = {"frames": 75, "size": (64, 64), "sound": rising}
SMALL = {"frames": 60, "size": (176, 144), "audio": None}
SECOND = list(range(1000, 1075))
X265 = "log-level=none:pools=1:keyint=25:min-keyint=25:scenecut=0"
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def add(name: str, make: Callable[[], bytes], **options: object) -> None:
    CASES[name] = Case(make, **options)  # type: ignore[arg-type]


def hevc(**more: str) -> dict[str, str]:
    extra = "".join(f":{name.replace('_', '-')}={value}" for name, value in more.items())
    return {"preset": "ultrafast", "x265-params": X265 + extra}


def _false_marks() -> None:
    silent = SHORT | {"audio": None}
    for name in ("mp4", "mov", "matroska", "avi"):
        stored = name == "avi"
        add(f"false-mpeg4-{name}", lambda c=name: false_keys(media(c, video="mpeg4", **silent), c, 7))
        for bf in ("0", "3"):
            b = {"bf": bf}
            add(
                f"false-h264-{bf}-{name}",
                lambda c=name, b=b: false_keys(media(c, video_options=b, **silent), c, 7),
                by_order=stored and bf != "0",
            )
    for name in ("mp4", "mov", "matroska"):
        add(
            f"false-hevc-{name}",
            lambda c=name: false_keys(media(c, video="libx265", video_options=hevc(), **silent), c, 7),
        )
        add(f"every-frame-marked-{name}", lambda c=name: false_keys(media(c, **silent), c, 1))
        add(f"none-marked-{name}", lambda c=name: no_keys(media(c, **silent), c))
    for codec in ("libvpx", "libvpx-vp9"):
        add(f"false-{codec}", lambda v=codec: false_keys(media("webm", video=v, **silent), "webm", 7))
    for codec in ("wmv1", "wmv2", "h263", "msmpeg4", "msmpeg4v2", "flv"):
        add(f"false-{codec}-avi", lambda v=codec: false_keys(media("avi", video=v, **SMALL), "avi", 7))
    add("false-wmv2-asf", lambda: false_keys(media("asf", video="wmv2", **silent), "asf", 7))
    add("false-h263-mov", lambda: false_keys(media("mov", video="h263", **SMALL), "mov", 7))


def _intra_refresh() -> None:
    for name in ("mp4", "mov", "matroska", "mpegts", "flv"):
        for bf in ("0", "2"):
            options = {"x264-params": "intra-refresh=1:keyint=25", "bf": bf}
            add(
                f"refresh-{bf}-{name}",
                lambda c=name, o=options: media(c, video_options=o, **HEARD),
            )


def _stored_order() -> None:
    open_groups = "open-gop=1:keyint=25:min-keyint=25:scenecut=0"
    for bf in ("1", "2", "3"):
        add(
            f"avi-h264-{bf}",
            lambda o={"bf": bf}: media("avi", audio="libmp3lame", video_options=o, **HEARD),
            by_order=True,
            declared=0.1,  # the muxer counts three packets of sound that it does not write
        )
    options = {"bf": "3", "x264-params": open_groups}
    add("avi-open", lambda: media("avi", audio=None, video_options=options, **SHORT), by_order=True)
    for codec in ("mpeg4", "mpeg2video", "mpeg1video"):
        for bf in ("0", "1", "2"):
            add(
                f"avi-{codec}-{bf}",
                lambda v=codec, o={"bf": bf}: media("avi", video=v, audio=None, video_options=o, **SHORT),
                by_order=bf != "0" or codec != "mpeg4",
            )
    plain = {"audio": None, **SHORT}
    add(
        "vfw-h264",
        lambda: without_presentation_times(annex_b(media("mp4", **plain)), b"H264", 25),
        by_order=True,
    )
    mpeg4 = {"video": "mpeg4", "video_options": {"bf": "2"}, **plain}
    add(
        "vfw-mpeg4",
        lambda: without_presentation_times(media("matroska", **mpeg4), b"XVID", 25),
        by_order=True,
    )


def part(container: str, start: float = 0.0, **options: object) -> bytes:
    codecs = {"video": "mpeg2video", "audio": "mp2"} if container == "mpeg" else {}
    return media(container, **SOUND | codecs | {"video_start": start, "audio_start": start} | options)


def _clocks() -> None:
    for name in ("mpegts", "mpeg"):
        for bf in ("0", "2"):
            o = {"video_options": {"bf": bf}}
            for kind, first, second in (
                ("restarts", 0.0, 0.0),
                ("jumps", 0.0, 2000.0),
                ("jumps-15", 0.0, 18.0),
                ("jumps-a-day", 0.0, 90_000.0),
                ("goes-back", 50_000.0, 3.0),
            ):
                add(
                    f"{kind}-{bf}-{name}",
                    lambda c=name, a=first, b=second, o=o: joined(
                        part(c, a, **o), part(c, b, indices=SECOND, **o)
                    ),
                )
            add(
                f"restarts-thrice-{bf}-{name}",
                lambda c=name, o=o: joined(
                    *(part(c, indices=list(range(k * 100, k * 100 + 75)), **o) for k in range(4))
                ),
            )
        for start in (0.0, 300.0):
            add(
                f"silent-{start:g}-{name}",
                lambda c=name, s=start: joined(part(c, audio=None), part(c, s, audio=None, indices=SECOND)),
            )
        only = {"video": None, "audio": "mp2", "seconds": 3.0}
        add(
            f"sound-{name}",
            lambda c=name, o=only: joined(part(c, **o), part(c, **o | {"sound": tone})),
        )
    for codec in ("libopus", "flac"):
        only = {"video": None, "audio": codec}
        add(
            f"chained-{codec}",
            lambda o=only: joined(
                media("ogg", seconds=4.0, sound=rising, **o), media("ogg", seconds=3.0, sound=tone, **o)
            ),
        )
    webm: dict[str, object] = {"video": "libvpx", "audio": "libopus"}
    cases: list[tuple[str, str, dict[str, object]]] = [
        ("matroska", "matroska", {}),
        ("webm", "webm", webm),
        ("live", "webm", webm | {"container_options": {"live": "1"}}),
        ("nut", "nut", {"audio": "libmp3lame"}),
    ]
    for name, container, more in cases:
        add(
            f"restarts-{name}",
            lambda c=container, o=more: joined(media(c, **SOUND | o), media(c, indices=SECOND, **SOUND | o)),
        )
    for bf in ("0", "2"):
        o = {"video_options": {"bf": bf}}
        for kind, moved in (("restarts", 0), ("jumps", 600_000)):
            add(
                f"{kind}-{bf}-flv",
                lambda m=moved, o=o: part("flv", **o) + moved_tags(part("flv", indices=SECOND, **o), m),
            )


def _late_fragments() -> None:
    for start in (0.0, 3.0, 12.0, 600.0, 4000.0):
        for bf in ("0", "2"):
            o = {"container_options": FRAGMENTS, "video_options": {"bf": bf}}
            add(f"fragments-{start:g}-{bf}", lambda s=start, o=o: part("mp4", s, **o))
            add(f"joins-late-{start:g}-{bf}", lambda s=start, o=o: later_fragment(part("mp4", s, **o), 1))


def _early_frames() -> None:
    made = {"audio": None, "container_options": {"use_editlist": "0"}, **SHORT}
    plain = {"video_options": {"bf": "0"}, **made}
    for frames in (-25, -3, -1, 3):
        entries = [(100, frames * 512)]
        add(f"shown-{frames}-after", lambda e=entries: decoded_after_shown(media("mov", **plain), e))
    two = [(40, -1536), (60, -1536)]
    add("shown-in-two-runs", lambda: decoded_after_shown(media("mov", **plain), two))


def _programmes() -> None:
    one = SOUND | {"frames": 75}
    large = one | {"size": (128, 128)}
    other = {"indices": SECOND, "sound": bursts([0.3, 1.1, 2.2])}
    add("programmes-alike", lambda: two_programmes(one, one | other))
    add("programmes-second-larger", lambda: two_programmes(one, large | other), video=1, audio=1)
    add("programmes-first-larger", lambda: two_programmes(large, one | other))
    add("programmes-first-silent", lambda: two_programmes(large | {"audio": None}, one | other), video=1)
    add(
        "programmes-first-blind",
        lambda: two_programmes(one | {"video": None, "seconds": 3.0}, one | other),
        audio=1,
    )


def _open_groups() -> None:
    params = "open-gop=1:keyint=25:min-keyint=25:scenecut=0"
    for name in ("mp4", "mov", "matroska", "mpegts"):
        for number, (codec, options) in enumerate(
            (
                ("libx264", {"bf": "3", "x264-params": params}),
                ("libx264", {"bf": "4", "b_strategy": "0", "x264-params": "b-pyramid=normal"}),
                ("libx264", {"bf": "2", "flags": "+ildct+ilme", "x264-params": "tff=1"}),
                ("libx265", hevc(open_gop="1", bframes="3")),
                ("mpeg2video", {"bf": "2", "g": "12"}),
                ("mpeg4", {"bf": "2", "g": "12"}),
            )
        ):
            add(
                f"group-{number}-{codec}-{name}",
                lambda c=name, v=codec, o=options: media(c, video=v, video_options=o, **HEARD),
            )


for family in (
    _false_marks,
    _intra_refresh,
    _stored_order,
    _clocks,
    _late_fragments,
    _early_frames,
    _programmes,
    _open_groups,
):
    family()

EVERY_TIME = {
    *("false-mpeg4-mp4", "false-h264-3-matroska", "false-hevc-mp4", "every-frame-marked-mp4", "false-libvpx"),
    *("false-wmv2-asf", "false-h263-mov", "refresh-0-mp4", "refresh-2-mpegts", "avi-h264-2", "avi-open"),
    *(
        "avi-mpeg4-2",
        "vfw-h264",
        "restarts-2-mpegts",
        "jumps-0-mpegts",
        "restarts-0-mpeg",
        "restarts-matroska",
        "chained-libopus",
    ),
    *("jumps-2-flv", "fragments-12-0", "joins-late-600-2", "shown--3-after", "programmes-second-larger"),
    *("programmes-first-silent", "none-marked-mov"),
}


@pytest.mark.parametrize(
    "name", [name if name in EVERY_TIME else pytest.param(name, marks=pytest.mark.nightly) for name in CASES]
)
def test_a_defect_costs_nothing(name: str) -> None:
    CASES[name].check()


def test_the_chosen_cases_are_there() -> None:
    assert set(CASES) >= EVERY_TIME


@pytest.mark.parametrize("matrix", [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)])
@pytest.mark.parametrize("exchanged", [False, True])
def test_all_eight_orientations(matrix: tuple[int, int, int, int], exchanged: bool) -> None:
    """Each stored point (x, y) is shown at (a x + c y, b x + d y)."""
    a, b, c, d = (0, matrix[0], matrix[3], 0) if exchanged else matrix
    content = media("mp4", audio=None, frames=3, indices=[0x1234, 1, 2])
    with open_media(content) as plain, open_media(with_matrix(content, (a, b, c, d))) as turned:
        stored, shown = (s.frames(np.zeros(1), short_side=128, crop=112).images[0] for s in (plain, turned))
    assert read_index(stored) == 0x1234
    last = len(stored) - 1
    expected = np.zeros_like(stored)
    for y in range(last + 1):
        for x in range(last + 1):
            across, down = a * x + c * y, b * x + d * y
            expected[down + last * (down < 0 or b + d < 0), across + last * (across < 0 or a + c < 0)] = (
                stored[y, x]
            )
    np.testing.assert_array_equal(shown, expected)
