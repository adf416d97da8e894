"""What a prediction would decode, and why: which knots, told without a frame decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l2l_engine.call.ask import Ask
from l2l_engine.call.knots import NOTHING, planned, policy
from l2l_engine.call.listening import MOMENTS
from l2l_engine.call.order import AT_KEY, walked
from l2l_engine.media.sampling import Policy
from l2l_engine.plan import PlanDocument
from l2l_engine.result import TimeArray
from l2l_engine.run.session import Session


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What a prediction would decode, from the container and the timestamps of packets alone.

    Attributes:
        path: The name the file was given by, if it had one.
        duration: Seconds.
        timestamps: Number N of timestamps that attention is spread over.
        asked: Policy asked for.
        sampling: Policy that will be followed.
        max_image_gap_s: Largest gap between frames that was asked for, seconds.
        image_knots, audio_knots: float64 [M], seconds: frames, and starts of audio windows. With "listen"
            those of the first look; where to look closer, the sound tells.
        widest_gap_s: Largest gap that the image knots leave, to the last timestamp too; None without any.
        key_frames: Key frames in the file.
        knots_at_key_frames: Image knots that are one.
        groups: Groups of pictures in which a knot lies: each costs one seek at most.
        walked_s: Seconds of video that go through the decoder on the way from key frames to knots.
        frames: Frames in the file, by its rate.
        frames_to_decode: Those that go through the decoder, by the same; frames that nobody refers to are
            skipped on the way where the codec tells, so that it may be fewer.
        reasons: Why it is so, in sentences.
    """

    path: str | None
    duration: float
    timestamps: int
    asked: Policy
    sampling: Policy
    max_image_gap_s: float
    image_knots: TimeArray
    audio_knots: TimeArray
    widest_gap_s: float | None
    key_frames: int
    knots_at_key_frames: int
    groups: int
    walked_s: float
    frames: int
    frames_to_decode: int
    reasons: tuple[str, ...]


def explain(session: Session, ask: Ask, document: PlanDocument, path: str | None) -> Explanation:
    """Say what ``run`` would decode of an opened video."""
    followed = policy(session, ask)
    knots = planned(session, ask, document, followed)
    keys = session.key_times() if session.has_video else NOTHING
    way = float(walked(knots.image, keys).sum())
    rate = session.frame_rate
    group = np.searchsorted(keys, knots.image + AT_KEY, side="right")
    nearest = np.abs(knots.image[:, None] - keys[None]).min(axis=1, initial=np.inf)
    widest = None
    if len(knots.image):
        end = max(session.timestamps[-1], knots.image[-1])
        widest = float(np.diff(knots.image, append=end).max())
    return Explanation(
        path=path,
        duration=float(session.duration),
        timestamps=len(session.timestamps),
        asked=ask.sampling,
        sampling=followed,
        max_image_gap_s=ask.max_image_gap_s,
        image_knots=knots.image,
        audio_knots=knots.audio,
        widest_gap_s=widest,
        key_frames=len(keys),
        knots_at_key_frames=int((nearest <= AT_KEY).sum()),
        groups=len(np.unique(group)),
        walked_s=way,
        frames=round(session.duration * rate) if session.has_video else 0,
        frames_to_decode=round(way * rate) + len(knots.image),
        reasons=tuple(_reasons(session, ask, document, followed, widest)),
    )


_WHY = {
    "exact": "every k-th timestamp, as many as the gap asks for, wherever the key frames are",
    "keyframes": "key frames alone, which cost one decoded frame each, whatever gaps that leaves",
    "auto": "key frames where they are dense enough, and elsewhere the moments nearest after one "
    "that keep the gap: the fewest frames decoded",
    "listen": "all the sound and a few key frames first, then exact frames where it listened most, "
    f"and if it is not sure then, everywhere else it did: at most {MOMENTS}",
}


def _reasons(
    session: Session, ask: Ask, document: PlanDocument, followed: Policy, widest: float | None
) -> list[str]:
    if not session.has_video:
        why = "there are no pictures" if "image" in document.modalities else "the plan is for sound alone"
        return [f"{why}: it will listen alone"]
    deaf = "there is no sound" if "audio" in document.modalities else "the plan is for pictures alone"
    reasons = [f"{followed}: {_WHY[followed]}"]
    if followed != ask.sampling:
        cause = "max_knots leaves too few" if session.has_audio else deaf
        reasons.insert(0, f"{ask.sampling} is not possible, {cause}")
    if not session.has_audio:
        reasons.append(f"{deaf}: it will look alone")
    if widest is not None and widest > ask.max_image_gap_s * (1 + 1e-6):
        cause = (
            "max_knots allows no more" if followed in ("exact", "auto") else "key frames are that far apart"
        )
        reasons.append(f"the widest gap is more than the {ask.max_image_gap_s:.2f} s asked for: {cause}")
    if ask.budget_s is not None:
        reasons.append(f"coarse to fine, until {ask.budget_s * 1000:.0f} ms are over")
    if ask.stop_when is not None:
        reasons.append(f"coarse to fine, until it is {ask.stop_when:.0%} sure")
    if document.recogniser is not None and ask.steps > 1:
        more = f"then the recogniser sees the moments looked at, {ask.steps - 1} at most: not counted here"
        reasons.append(f"{more}, nor done if the time is up" if ask.budget_s is not None else more)
    if document.segments is not None and ask.refine:
        reasons.append(
            "then a few frames and windows of sound beside the edges of what happens, half as many "
            "frames again at most: not counted here"
        )
    return reasons
