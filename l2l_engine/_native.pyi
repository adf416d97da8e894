"""The native core (csrc/bindings). Arrays are C-contiguous and of exactly these dtypes.

Pairs are image, audio; a list of a pair has two entries.
"""

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float32]
_Times = NDArray[np.float64]
_Lengths = NDArray[np.int64] | None
_Mask = NDArray[np.bool_] | None

MAX_STEPS: int

def interpolate(features: _Floats, knot_times: _Times, timestamps: _Times, instructions: str) -> _Floats: ...
def resample(
    samples: _Floats, taps: _Floats, rest: int, step: int, cycle: int, count: int, instructions: str
) -> _Floats: ...
def soft_index(
    banks: list[_Floats],
    times: list[_Times],
    timestamps: _Times,
    queries: list[_Floats],
    modality_scores: _Floats,
    bank_lengths: list[_Lengths],
    lengths: _Lengths,
    excluded: list[_Mask],
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
        banks: list[_Floats | None],
        times: list[_Times | None],
        timestamps: _Times,
        steps: int,
        bank_lengths: list[_Lengths],
        lengths: _Lengths,
    ) -> tuple[_Floats, _Floats, _Floats, _Floats, _Floats, _Floats]: ...
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
