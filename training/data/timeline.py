"""Draws whole scenes: where on the timeline the action is, and the distractors that hide it.

The rule behind all of it: outside the action's stretches no motion is heard within a second of a visible
object. Objects, motions and sounds of the distractors come from the same kinds as the labels, and the label's
own object and own sound are among them (never both at once), so that counting what was seen or heard does not
tell the label.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from training.data.draw import Rng, draw_actor, draw_bed, draw_drive, draw_voice, seed
from training.data.scene import Event, EventKind, Scene, Shot
from training.data.synth_config import SynthConfig
from training.data.universe import UNIVERSES, Universe

_THRICE: tuple[EventKind, ...] = ("silent motion", "sound alone", "rest")
_DECK: tuple[EventKind, ...] = (*(kind for kind in _THRICE for _ in range(3)), "empty")
# How often the label's own object and sound come among the distractors, where the others come once: so seldom
# that, with the action added, they are seen and heard about as long as any other.
_OWN_OBJECT, _OWN_SOUND = 0.3, 0.1
_MAX_STRETCHES = 3
Slot = tuple[EventKind, float]


class _Bag:
    """Deals every item once, shuffled, before any comes again; the label's own item only in some rounds."""

    def __init__(self, rng: Rng, items: tuple[str, ...], own: str, share: float) -> None:
        self._rng, self._items, self._own, self._share = rng, items, own, share
        self._left: list[str] = []

    def deal(self) -> str:
        if not self._left:
            round_ = [item for item in self._items if item != self._own or self._rng.random() < self._share]
            self._left = [str(item) for item in self._rng.permutation(round_)]
        return self._left.pop()


def label_of(universe: Universe, base_seed: int, index: int) -> str:
    """Labels come in shuffled rounds, so that any set is as balanced as its size allows."""
    round_, place = divmod(index, len(universe.classes))
    order = np.random.default_rng([base_seed, round_]).permutation(len(universe.classes))
    return universe.classes[order[place]]


def draw_scene(base_seed: int, index: int, *, universe: str, split: str, config: SynthConfig) -> Scene:
    """Scene number ``index`` of the set with this seed; each is drawn by itself, in any order."""
    world = UNIVERSES[universe]
    rng = np.random.default_rng([base_seed, index, sorted(UNIVERSES).index(universe), int(split == "clips")])
    label = label_of(world, base_seed, index)
    if split == "clips":
        duration = rng.uniform(*config.clip_duration)
        slots: list[Slot] = [("action", duration)]
    else:
        duration = rng.uniform(*config.duration)
        slots = _slots(rng, duration, config)
    events = _events(rng, slots, world, label)
    return Scene(
        universe,
        label,
        duration,
        events,
        _shots(rng, events),
        drift=(rng.uniform(0.0, 0.03), *rng.uniform(4.0, 15.0, 2), *rng.random(2)),
        light=(rng.uniform(0.8, 1.1), rng.uniform(0.0, 0.12), rng.uniform(3.0, 12.0), rng.random()),
        room=(10.0 ** rng.uniform(-3.5, -2.2), seed(rng)),
    )


def _stretches(rng: Rng, duration: float, config: SynthConfig) -> list[float]:
    """Lengths of the action's stretches."""
    least, greatest = (share * duration for share in config.action_share)
    least = max(least, config.stretch_min)
    # Rather short than long, or mere averaging would do well on the videos where the action is long.
    total = least + (greatest - least) * rng.beta(1.0, 2.0)
    count = int(rng.integers(1, min(_MAX_STRETCHES, int(total / config.stretch_min)) + 1))
    spare = total - count * config.stretch_min
    return [config.stretch_min + spare * float(part) for part in rng.dirichlet([2.0] * count)]


def _needs_gap(before: EventKind, after: EventKind) -> bool:
    """Whether one is heard as a motion and the other seen; the action is both."""
    if "empty" in (before, after):
        return False
    if "action" in (before, after):
        return True
    return (before == "sound alone") != (after == "sound alone")


def _spaced(rng: Rng, slots: list[Slot], config: SynthConfig) -> list[Slot]:
    """``slots`` with empty gaps where they are needed."""
    spaced: list[Slot] = []
    for kind, length in slots:
        if spaced and _needs_gap(spaced[-1][0], kind):
            spaced.append(("empty", rng.uniform(*config.gap)))
        spaced.append((kind, length))
    return spaced


def _slots(rng: Rng, duration: float, config: SynthConfig) -> list[Slot]:
    """Kinds and lengths that fill the video exactly: the action at random places among distractors."""
    stretches = _stretches(rng, duration, config)
    places = rng.random(len(stretches))
    distractors: list[Slot] = []
    deck: list[EventKind] = []
    best = _spaced(rng, [("action", length) for length in stretches], config)
    while True:
        if not deck:
            deck = [_DECK[number] for number in rng.permutation(len(_DECK))]
        distractors.append((deck.pop(), rng.uniform(*config.event)))
        slots = list(distractors)
        for place, length in sorted(zip(places, stretches, strict=True), reverse=True):
            slots.insert(round(place * len(distractors)), ("action", length))
        spaced = _spaced(rng, slots, config)
        if sum(length for _, length in spaced) > duration:
            return _filled(rng, best, duration)
        best = spaced


def _filled(rng: Rng, slots: list[Slot], duration: float) -> list[Slot]:
    """The time that is left goes to the empty parts; a gap only ever grows."""
    slots = [("empty", 0.0), *slots, ("empty", 0.0)]
    empty = [number for number, (kind, _) in enumerate(slots) if kind == "empty"]
    left = duration - sum(length for _, length in slots)
    for number, part in zip(empty, rng.dirichlet([1.0] * len(empty)), strict=True):
        slots[number] = ("empty", slots[number][1] + left * float(part))
    return slots


def _events(rng: Rng, slots: list[Slot], world: Universe, label: str) -> tuple[Event, ...]:
    shape, motion = label.split(" ")
    objects, motions, sounds = (
        _Bag(rng, world.objects, shape, _OWN_OBJECT),
        _Bag(rng, world.motions, motion, _OWN_OBJECT),
        _Bag(rng, world.motions, motion, _OWN_SOUND),
    )
    events, start = [], 0.0
    for kind, length in slots:
        event = Event(kind, start, start + length)
        start = event.end
        if kind == "action":
            actor = draw_actor(rng, world, shape, motion)
            drive = next(drive for drive in actor.drives if drive.motion == motion)
            event = replace(event, actor=actor, voice=draw_voice(rng, drive))
        elif kind == "sound alone":
            event = replace(event, voice=draw_voice(rng, draw_drive(rng, sounds.deal())))
        elif kind in ("silent motion", "rest"):
            seen, moving = objects.deal(), None
            if kind == "silent motion":
                moving = motions.deal()
                while (seen, moving) == (shape, motion):
                    moving = motions.deal()
            actor = draw_actor(rng, world, seen, moving)
            event = replace(event, actor=actor, fade=0.3 if rng.random() < 0.5 else 0.0)
        if kind == "rest" or (kind == "empty" and length > 0.5 and rng.random() < 0.25):
            event = replace(event, bed=draw_bed(rng))
        events.append(event)
    return tuple(event for event in events if event.end > event.start)


def _shots(rng: Rng, events: tuple[Event, ...]) -> tuple[Shot, ...]:
    """Cuts to other backgrounds, some through black, but never through black at the edge of the action."""
    shots = [Shot(0.0, seed(rng), dip=False)]
    for before, after in pairwise(events):
        if rng.random() < 0.35:
            beside_action = "action" in (before.kind, after.kind)
            shots.append(Shot(after.start, seed(rng), dip=not beside_action and rng.random() < 0.5))
    return tuple(shots)
