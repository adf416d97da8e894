"""The native core (csrc/bindings). Arrays are C-contiguous and of exactly these dtypes."""

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float32]
_Times = NDArray[np.float64]
_Lengths = NDArray[np.int64] | None
_Mask = NDArray[np.bool_] | None

def interpolate(features: _Floats, knot_times: _Times, timestamps: _Times, instructions: str) -> _Floats: ...
def resample(
    samples: _Floats, taps: _Floats, rest: int, step: int, cycle: int, count: int, instructions: str
) -> _Floats: ...
def soft_index(
    image_bank: _Floats,
    audio_bank: _Floats,
    image_times: _Times,
    audio_times: _Times,
    timestamps: _Times,
    image_query: _Floats,
    audio_query: _Floats,
    modality_scores: _Floats,
    image_lengths: _Lengths,
    audio_lengths: _Lengths,
    lengths: _Lengths,
    image_excluded: _Mask,
    audio_excluded: _Mask,
    precision: str,
    instructions: str,
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...

class Skimmer:
    def __init__(
        self,
        weights: dict[str, _Floats],
        relu_keys: bool,
        exclude_previous_argmax: bool,
        precision: str,
        instructions: str,
        threads: int,
    ) -> None: ...
    def run(
        self,
        image_bank: _Floats | None,
        audio_bank: _Floats | None,
        image_times: _Times | None,
        audio_times: _Times | None,
        timestamps: _Times,
        steps: int,
        image_lengths: _Lengths,
        audio_lengths: _Lengths,
        lengths: _Lengths,
    ) -> tuple[_Floats, _Floats, _Floats, _Floats, _Floats]: ...
    @property
    def feature_size(self) -> int: ...
    @property
    def class_count(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def instructions(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def visual_only(self) -> bool: ...
