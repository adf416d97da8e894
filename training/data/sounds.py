"""How motions sound, in step with how they look, and the sounds that no motion makes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.scene import Bed, Voice

Wave = NDArray[np.float32]
TAU = 2.0 * math.pi
_EDGE_SECONDS = 0.015  # a sound cut off at full swing would click, and the click would mark every stretch


@dataclass(frozen=True, slots=True)
class _Take:
    """What a motion's sound is made from: cycles done at each sample, and the numbers of its voice."""

    cycles: Wave
    rate: int
    pitch: float
    turn: float
    rng: np.random.Generator

    def tone(self, hertz: Wave | float, harmonics: tuple[float, ...] = (1.0,)) -> Wave:
        """Return a tone whose pitch may change from sample to sample, with its overtones' strengths."""
        # float64: the phase is a sum over all samples before.
        pitches = np.broadcast_to(np.asarray(hertz, np.float64), len(self.cycles))
        phase = np.cumsum(pitches) * (TAU / self.rate)
        wave = np.zeros(len(phase), np.float32)
        for number, strength in enumerate(harmonics, start=1):
            wave += np.float32(strength) * np.sin(phase * number).astype(np.float32)
        return wave

    def glide(self, hertz: Wave) -> Wave:
        """Return a pure tone of changing pitch, short enough for float32."""
        return np.sin(np.float32(TAU / self.rate) * np.cumsum(hertz))

    def noise(self) -> Wave:
        return self.rng.standard_normal(len(self.cycles), dtype=np.float32)

    def wave(self, multiple: float = 1.0, shift: float = 0.0) -> Wave:
        """Return sin of the motion's own angle: what the picture moves by."""
        return np.sin(np.float32(TAU) * (np.float32(multiple) * self.cycles + np.float32(shift)))

    def strikes(self, every: float, seconds: float, strike: Callable[[int, Wave], Wave]) -> Wave:
        """Return a short sound at each multiple of ``every`` cycles, the n-th by ``strike(n, time)``."""
        wave = np.zeros(len(self.cycles), np.float32)
        time = np.arange(round(seconds * self.rate), dtype=np.float32) / np.float32(self.rate)
        first, last = math.ceil(self.cycles[0] / every), math.floor(self.cycles[-1] / every)
        for beat in range(first, last + 1):
            at = int(np.searchsorted(self.cycles, np.float32(beat * every)))
            sound = strike(beat, time)[: len(wave) - at]
            wave[at : at + len(sound)] += sound
        return wave


def _thuds(take: _Take) -> Wave:
    """Return a thud whenever the object touches the floor: a low tone that drops, with a knock."""

    def thud(_: int, time: Wave) -> Wave:
        hertz = np.float32(take.pitch * 0.5) * (1.0 + np.exp(time / np.float32(-0.02)))
        body = take.glide(hertz) * np.exp(time / np.float32(-0.06))
        knock = take.rng.standard_normal(len(time), dtype=np.float32) * np.exp(time / np.float32(-0.006))
        return body + np.float32(0.5) * knock

    return take.strikes(1.0, 0.22, thud)


def _whir(take: _Take) -> Wave:
    """Return a hum that swells once a turn."""
    hertz = take.pitch * (1.0 + 0.05 * take.wave())
    swell = 0.55 + 0.45 * take.wave(shift=0.25)
    return (take.tone(hertz, (1.0, 0.6, 0.4, 0.2)) + 0.25 * take.noise()) * swell


def _rattle(take: _Take) -> Wave:
    """Return a dry burst of noise at each end of the shake."""

    def burst(_: int, time: Wave) -> Wave:
        return take.rng.standard_normal(len(time), dtype=np.float32) * np.exp(time / np.float32(-0.016))

    return take.strikes(0.5, 0.08, burst)


def _sweep(take: _Take) -> Wave:
    """Return a tone that glides over nearly two octaves with the object's place."""
    hertz = 1.4 * take.pitch * np.exp2(0.9 * take.turn * take.wave())
    return take.tone(hertz, (1.0, 0.3))


def _whoosh(take: _Take) -> Wave:
    """Return wind that is loudest where the pendulum is fastest."""
    return take.noise() * take.wave(shift=0.25) ** 4


def _throb(take: _Take) -> Wave:
    """Return a chord that swells with the object's size."""
    return (take.tone(take.pitch) + take.tone(1.5 * take.pitch)) * (0.5 + 0.5 * take.wave()) ** 2


def _siren(take: _Take) -> Wave:
    """Return a reedy tone, higher on one side of the orbit and lower on the other."""
    return take.tone(take.pitch * (1.0 + 0.3 * take.wave(shift=0.25)), (1.0, 0.0, 0.6, 0.0, 0.4))


def _zips(take: _Take) -> Wave:
    """Return a quick chirp at each corner, up and down in turn; the path has six corners a cycle."""

    def chirp(beat: int, time: Wave) -> Wave:
        bend = np.float32(30.0 if beat % 2 else -30.0)
        hertz = np.float32(2.0 * take.pitch) * np.exp2(bend * (time - np.float32(0.025)))
        return take.glide(hertz) * np.exp(time / np.float32(-0.03))

    return take.strikes(1.0 / 6.0, 0.05, chirp)


def _buzz(take: _Take) -> Wave:
    """Return a harsh hum while the light is on."""
    on = ((take.cycles % np.float32(1.0)) < 0.5).astype(np.float32)
    return take.tone(0.5 * take.pitch, tuple(1.0 / n for n in range(1, 9))) * on


def _boings(take: _Take) -> Wave:
    """Return a wobbling, rising tone at each take-off."""

    def boing(_: int, time: Wave) -> Wave:
        hertz = np.float32(take.pitch) * (1.0 + 2.5 * time + 0.2 * np.sin(np.float32(TAU * 25.0) * time))
        return take.glide(hertz) * np.exp(time / np.float32(-0.1))

    return take.strikes(1.0, 0.3, boing)


SOUNDS: dict[str, Callable[[_Take], Wave]] = {
    "bouncing": _thuds,
    "spinning": _whir,
    "shaking": _rattle,
    "sliding": _sweep,
    "swinging": _whoosh,
    "pulsing": _throb,
    "orbiting": _siren,
    "zigzagging": _zips,
    "flickering": _buzz,
    "hopping": _boings,
}


def _coloured(wave: Wave, rate: int, decibels: NDArray[np.float64]) -> Wave:
    """Filter ``wave``; the response is given at points even in log frequency, from 60 Hz to 8 kHz."""
    # A length with small factors; an FFT of a prime one takes many times as long.
    size = 1 << (len(wave) - 1).bit_length()
    spectrum = np.fft.rfft(wave, size)
    frequencies = np.log(np.maximum(np.fft.rfftfreq(size, 1.0 / rate), 1.0))
    knots = np.linspace(math.log(60.0), math.log(8000.0), len(decibels))
    spectrum *= 10.0 ** (np.interp(frequencies, knots, decibels) / 20.0)
    return np.fft.irfft(spectrum, size)[: len(wave)].astype(np.float32)


def _finished(wave: Wave, rate: int, level: float) -> Wave:
    """Fade a wave in and out at its ends, with its peak at ``level``."""
    edge = min(max(1, round(_EDGE_SECONDS * rate)), len(wave) // 2)
    ramp = np.linspace(0.0, 1.0, edge, dtype=np.float32)
    wave[:edge] *= ramp
    wave[len(wave) - edge :] *= ramp[::-1]
    return wave * np.float32(level / max(float(np.abs(wave).max(initial=0.0)), 1e-9))


def render_voice(voice: Voice, elapsed: NDArray[np.float64], rate: int) -> Wave:
    """Return the motion's sound at ``elapsed`` (evenly spaced seconds since its event began)."""
    rng = np.random.default_rng(voice.seed)
    response = rng.uniform(-9.0, 9.0, 6)
    cycles = (voice.drive.phase + elapsed / voice.drive.period).astype(np.float32)
    take = _Take(cycles, rate, voice.pitch, voice.drive.turn, rng)
    return _finished(_coloured(SOUNDS[voice.drive.motion](take), rate, response), rate, voice.level)


def _music(length: int, rate: int, rng: np.random.Generator) -> Wave:
    """Return slow, soft notes of a pentatonic scale over a held root: nothing that keeps a motion's pace."""
    scale = np.array([0, 2, 4, 7, 9, 12])
    root, beat = rng.uniform(110.0, 260.0), rng.uniform(0.7, 1.2)
    time = np.arange(length) / rate
    wave = 0.3 * np.sin(TAU * root * time)
    for start in np.arange(0.0, time[-1], beat):
        first, last = int(start * rate), min(length, int((start + 1.6 * beat) * rate))
        since = time[first:last] - start
        hertz = root * 2.0 ** (rng.choice(scale) / 12.0)
        swell = np.minimum(since / 0.15, 1.0) * np.cos(0.5 * math.pi * since / (1.6 * beat))
        wave[first:last] += swell * (np.sin(TAU * hertz * since) + 0.3 * np.sin(2 * TAU * hertz * since))
    return wave.astype(np.float32)


def render_bed(bed: Bed, length: int, rate: int) -> Wave:
    """Return ``length`` samples of a bed."""
    rng = np.random.default_rng(bed.seed)
    response = rng.uniform(-9.0, 9.0, 6)
    wave = _music(length, rate, rng) if bed.kind == "music" else rng.standard_normal(length, dtype=np.float32)
    return _finished(_coloured(wave, rate, response), rate, bed.level)
