"""Parts with clocks of their own follow each other on one clock."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2l_engine.media.timeline import Joiner, Timeline

PICTURE, SOUND = 0, 1
PACKETS = {PICTURE: 0.04, SOUND: 0.0213}


def joined(packets: list[tuple[int, float]]) -> tuple[Timeline, list[tuple[int, float]]]:
    """The timeline, and each packet's time on the joined clock."""
    joiner = Joiner()
    for stream, time in packets:
        joiner.add(stream, time, time, time + PACKETS[stream])
    timeline = joiner.timeline()
    counts = dict.fromkeys(PACKETS, 0)
    out = []
    for stream, time in packets:
        out.append((stream, time + timeline.shift(stream, counts[stream])))
        counts[stream] += 1
    return timeline, out


def part(start: float, seconds: float, late: float = 0.0) -> list[tuple[int, float]]:
    """Packets of one part: sound from ``start``, picture ``late`` seconds after."""
    picture = [
        (PICTURE, start + late + i * PACKETS[PICTURE]) for i in range(round(seconds / PACKETS[PICTURE]))
    ]
    sound = [(SOUND, start + i * PACKETS[SOUND]) for i in range(round(seconds / PACKETS[SOUND]))]
    return sorted([*picture, *sound], key=lambda packet: packet[1])


starts = st.floats(0.0, 90_000.0)
lengths = st.floats(2.0, 20.0)


@given(st.lists(st.tuples(starts, lengths, st.floats(0.0, 0.4)), min_size=1, max_size=5))
def test_parts_follow_each_other(parts: list[tuple[float, float, float]]) -> None:
    """However far clocks jump: nothing overlaps, nothing is lost, picture and sound stay together."""
    raw = [part(*one) for one in parts]
    _, times = joined(list(itertools.chain(*raw)))
    reached = raw[0][0][1]
    at = 0
    for one in raw:
        here = times[at : at + len(one)]
        at += len(one)
        shifts = [after - before for (_, before), (_, after) in zip(one, here, strict=True)]
        # A clock that happens to go on within half a second is none that restarted.
        if max(shifts) - min(shifts) > 1e-6:
            pytest.fail("a part was torn")
        assert -0.5 - 1e-6 <= here[0][1] - reached <= 10.0 + 1e-6
        reached = max(time + PACKETS[stream] for stream, time in here)


@given(st.floats(0.0, 1000.0), st.sets(st.integers(4, 90), max_size=2), st.sampled_from([-800.0, 1000.0]))
def test_damaged_stamps_are_no_new_clock(start: float, damaged: set[int], by: float) -> None:
    packets = part(start, 4.0)
    for i in damaged:
        packets[i] = packets[i][0], packets[i][1] + by
    assert not joined(packets)[0].restarts


@given(st.integers(1, 9), st.randoms())
def test_packets_of_both_parts_may_be_mixed(span: int, rng: random.Random) -> None:
    """At the seam a track may be behind the other by some packets."""
    first, second = part(100.0, 3.0), part(7.0, 3.0)
    seam = [*first[-span:], *second[:span]]
    order = {stream: [p for p in seam if p[0] == stream] for stream in PACKETS}
    mixed = []
    while any(order.values()):
        stream = rng.choice([stream for stream, rest in order.items() if rest])
        mixed.append(order[stream].pop(0))
    timeline, times = joined([*first[:-span], *mixed, *second[span:]])
    assert timeline.restarts
    assert max(time for _, time in times) == pytest.approx(106.0, abs=0.1)
    assert min(time for _, time in times) == 100.0


def test_a_picture_that_stands_still_is_no_jump() -> None:
    sound = [(SOUND, i * PACKETS[SOUND]) for i in range(3000)]
    slides = [(PICTURE, i * 20.0) for i in range(4)]
    packets = sorted([*sound, *slides], key=lambda packet: packet[1])
    assert not joined(packets)[0].restarts


def test_packets_without_a_stamp_are_counted() -> None:
    joiner = Joiner()
    for i in range(40):
        time = i * 0.04 if i < 20 else 500 + i * 0.04
        joiner.add(PICTURE, None if i == 5 else time, time, time + 0.04)
    (first, _), *others = joiner.timeline().parts[PICTURE]
    assert (first, others) == (20, [])
