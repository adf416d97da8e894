"""The skimmer and its operations on NVIDIA GPUs. Not yet run on one: its kernels are tested on the host.

Arrays of PyTorch, CuPy, PyCUDA and whatever else speaks DLPack or ``__cuda_array_interface__`` go in without
a copy, results come out likewise, and everything is queued on a stream that the caller names.
"""

from typing import TYPE_CHECKING

from l2l_engine.cuda.native import require, why_not
from l2l_engine.cuda.ops import CudaSoftIndexResult, gather, interpolate, soft_index
from l2l_engine.cuda.skimmer import CudaSkimmer, CudaSkimResult, PhaseTime, Space

if TYPE_CHECKING:
    from l2l_engine._cuda import DeviceArray as DeviceArray

__all__ = [
    "CudaSkimResult",
    "CudaSkimmer",
    "CudaSoftIndexResult",
    "PhaseTime",
    "Space",
    "gather",
    "interpolate",
    "require",
    "soft_index",
    "why_not",
]
