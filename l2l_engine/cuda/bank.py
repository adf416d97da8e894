"""Features of one modality in memory of a GPU, as a caller hands them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class DeviceBank:
    """An array [M, D], float32 or float16, that offers DLPack or ``__cuda_array_interface__``.

    Attributes:
        features: The array.
        times: float64 [M] seconds, increasing, on the host.
    """

    features: Any
    times: NDArray[np.float64]
