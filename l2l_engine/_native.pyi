"""The native core (csrc/bindings). Arrays are C-contiguous and of exactly these dtypes."""

import numpy as np
from numpy.typing import NDArray

class Skimmer:
    def __init__(
        self,
        weights: dict[str, NDArray[np.float32]],
        relu_keys: bool,
        exclude_previous_argmax: bool,
        precision: str,
        instructions: str,
        threads: int,
    ) -> None: ...
    def run(
        self,
        image_bank: NDArray[np.float32] | None,
        audio_bank: NDArray[np.float32] | None,
        image_times: NDArray[np.float64] | None,
        audio_times: NDArray[np.float64] | None,
        timestamps: NDArray[np.float64],
        steps: int,
        image_lengths: NDArray[np.int64] | None,
        audio_lengths: NDArray[np.int64] | None,
        lengths: NDArray[np.int64] | None,
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.float32],
    ]: ...
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
