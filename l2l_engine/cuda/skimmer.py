"""ImgAud-Skimming on a GPU, with the interface of :class:`l2l_engine.skim.Skimmer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from l2l_engine import arguments
from l2l_engine.cuda import native
from l2l_engine.cuda.arrays import Arguments
from l2l_engine.skim import KeyActivation, Modality, Precision, SkimResult
from l2l_engine.skim.inputs import SkimInput

if TYPE_CHECKING:
    from l2l_engine._cuda import DeviceArray

Launches = Literal["auto", "one", "many"]
_PERSISTENT = {"auto": None, "one": True, "many": False}


@dataclass(frozen=True, slots=True, eq=False)
class CudaSkimResult:
    """:class:`l2l_engine.skim.SkimResult` on the device: the same fields, of the same shapes.

    Each array offers ``__cuda_array_interface__`` and DLPack, so that PyTorch, CuPy and PyCUDA take it
    without a copy.
    """

    logits: DeviceArray
    image_attention: DeviceArray
    audio_attention: DeviceArray
    modality_scores: DeviceArray
    step_features: DeviceArray
    step_logits: DeviceArray

    def numpy(self) -> SkimResult:
        """A copy on the host; waits for the stream that the run was queued on."""
        return SkimResult(*(getattr(self, field.name).numpy() for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Memory for one run at a time, made by :meth:`CudaSkimmer.space`: what it works in, and its result."""

    workspace: DeviceArray
    result: CudaSkimResult


@dataclass(frozen=True, slots=True)
class PhaseTime:
    """One phase of one run of the skimmer, by the GPU's own clock.

    Attributes:
        phase: As csrc/skim/cuda_run.h names it; "keep" is the loading of weights into shared memory.
        step: Of the skimmer, from 0; None before and after all steps.
        waited_us: From the end of the phase before, in the block that was last, to the beginning of this one,
            in the block that was first: the grid's barrier, or with a launch a phase the launch.
        worked_us: From then to the end in the block that was last.
    """

    phase: str
    step: int | None
    waited_us: float
    worked_us: float


class CudaSkimmer:
    """The trained skimmer on a GPU. Immutable; any number of threads may call :meth:`run` at once.

    A video's result does not depend on what else is in the batch, to the bit, as long as the way of
    launching is the same; ``launches="auto"`` chooses it by the sizes, and the ways differ by rounding.

    Args:
        weights: As for :class:`l2l_engine.skim.Skimmer`; on the host.
        key_activation: Likewise.
        exclude_previous_argmax: Likewise.
        precision: How weights and banks are stored; sums and softmax are always float32. ``"auto"`` takes
            fp16.
        device: The GPU's number.
        launches: ``"one"`` runs all steps in one cooperative launch with weights kept in shared memory,
            ``"many"`` makes a launch a phase; ``"auto"`` takes what suits the sizes and the device.
        project: Whether to multiply the banks with the layers around the attention once instead of a vector
            with these at every step; chosen by the sizes by default.

    Raises:
        TypeError: A tensor or argument is of the wrong type; the message names it.
        ValueError: A tensor is missing, unexpected, misshapen or not finite, or an argument is out of range;
            the message names it.
        DeviceError: The GPU cannot be used; the message says why.
        DeviceMemoryError: It has not enough memory for the weights.
    """

    def __init__(
        self,
        weights: Mapping[str, ArrayLike],
        *,
        key_activation: KeyActivation = "none",
        exclude_previous_argmax: bool = False,
        precision: Precision = "auto",
        device: int = 0,
        launches: Launches = "auto",
        project: bool | None = None,
    ) -> None:
        arguments.one_of("key_activation", key_activation, ("none", "relu"))
        arguments.one_of("precision", precision, ("fp32", "bf16", "fp16", "auto"))
        arguments.one_of("launches", launches, ("auto", "one", "many"))
        if not isinstance(weights, Mapping):
            raise TypeError(f"weights: expected a mapping, got {type(weights).__name__}")
        tensors = {str(name): arguments.float32(str(name), value) for name, value in weights.items()}
        number = arguments.integer("device", device)
        self._persistent = _PERSISTENT[launches]
        self._projected = project if project is None else bool(project)
        self._native = native.module().Skimmer(
            tensors, key_activation == "relu", bool(exclude_previous_argmax), precision, number
        )

    @property
    def device(self) -> int:
        """The GPU's number."""
        return int(self._native.device)

    @property
    def feature_size(self) -> int:
        """D."""
        return int(self._native.feature_size)

    @property
    def class_count(self) -> int:
        """C."""
        return int(self._native.class_count)

    @property
    def visual_only(self) -> bool:
        """Whether the weights know no audio."""
        return bool(self._native.visual_only)

    @property
    def precision(self) -> str:
        """What ``precision`` became: ``"fp32"``, ``"bf16"`` or ``"fp16"``."""
        return str(self._native.precision)

    def space(
        self,
        batch: int,
        moments: int,
        image_knots: int,
        audio_knots: int,
        steps: int,
        *,
        stream: object = None,
    ) -> Space:
        """Memory for a run of exactly these sizes (B, N, Mi, Ma, T), for use over and over and in CUDA
        graphs.

        A missing modality has 0 knots.

        Raises:
            ValueError: A size is out of range; the message names it.
            DeviceMemoryError: The device has not enough memory.
        """
        call = Arguments(stream, self.device)
        sizes = {"batch": batch, "moments": moments, "image_knots": image_knots, "audio_knots": audio_knots}
        whole = {name: arguments.integer(name, size) for name, size in sizes.items()}
        count = arguments.integer("steps", steps)
        bytes_needed, shapes = self._native.space_for(*whole.values(), count, self._projected)

        def empty(shape: list[int]) -> DeviceArray:
            made: DeviceArray = native.module().empty(shape, self.device, call.stream)
            return made

        made = Space(empty([(bytes_needed + 3) // 4]), CudaSkimResult(*map(empty, shapes)))
        # From here on it is there for every stream: a captured one cannot wait for the one it was made on.
        native.module().synchronize(made.workspace)
        return made

    def run(  # noqa: PLR0917 - two banks, their times and the axis belong together
        self,
        image_bank: Any,
        audio_bank: Any,
        image_times: Any,
        audio_times: Any,
        timestamps: Any,
        steps: int,
        *,
        image_lengths: Any = None,
        audio_lengths: Any = None,
        lengths: Any = None,
        modality: Modality = "both",
        stream: object = None,
        space: Space | None = None,
    ) -> CudaSkimResult:
        """Skim a batch of videos, as :meth:`l2l_engine.skim.Skimmer.run`; queued on ``stream``, nothing
        waits.

        Arrays may be on the device (anything with DLPack or ``__cuda_array_interface__``: banks float32,
        float16 or bfloat16, times float64, lengths int64) or on the host, whence they are checked and
        copied. Of arrays on the device, sizes and types are checked; values are not, since that would have
        to wait for them: times that do not increase or features that are not finite give a wrong result, and
        nothing worse.

        Args:
            image_bank: [B, Mi, D].
            audio_bank: [B, Ma, D].
            image_times: [B, Mi] seconds.
            audio_times: [B, Ma] seconds.
            timestamps: [B, N] seconds.
            steps: T, 1 to 1000.
            image_lengths: int [B].
            audio_lengths: int [B].
            lengths: int [B].
            modality: What the videos have.
            stream: A handle or a stream object (PyTorch, CuPy, PyCUDA, Numba, ``__cuda_stream__``); the
                legacy default stream by default. A stream given as a handle must outlive the result.
            space: Memory for the run, which then allocates nothing and can be captured in a CUDA graph if all
                arrays are on the device. Its result is the one returned.

        Raises:
            TypeError: An argument is of the wrong type or dtype; the message names it.
            ValueError: An argument is of the wrong shape, strided, on another device or out of range; the
                message names it.
            DeviceError: The device fails, or the stream is being captured and memory would be needed.
            DeviceMemoryError: The device has not enough memory.
        """
        given = SkimInput(
            image_bank,
            audio_bank,
            image_times,
            audio_times,
            timestamps,
            steps,
            image_lengths=image_lengths,
            audio_lengths=audio_lengths,
            lengths=lengths,
            modality=modality,
        )
        outputs = self._queue(given, stream, space, timed=False)
        return CudaSkimResult(*outputs) if space is None else space.result

    def phase_times(  # noqa: PLR0917 - as of run
        self,
        image_bank: Any,
        audio_bank: Any,
        image_times: Any,
        audio_times: Any,
        timestamps: Any,
        steps: int,
        *,
        stream: object = None,
        space: Space | None = None,
    ) -> list[PhaseTime]:
        """Run once as :meth:`run` does, wait, and say where the time went, phase by phase.

        Takes a build with ``L2L_PHASE_TIMES`` (docs/gpu.md). The clock is the GPU's ``%globaltimer``, which
        some GPUs tick only once a microsecond: add up several runs.

        Raises:
            As :meth:`run`; DeviceError also if the build has no phase times.
        """
        given = SkimInput(image_bank, audio_bank, image_times, audio_times, timestamps, steps)
        _, phases, times = self._queue(given, stream, space, timed=True)
        ns = times.numpy()
        begins, ends = ns[..., 0].min(1), ns[..., 1].max(1)
        before = np.append(begins[:1], ends[:-1])
        rows = zip(phases, (begins - before) / 1e3, (ends - begins) / 1e3, strict=True)
        return [
            PhaseTime(name, None if step < 0 else step, float(waited), float(worked))
            for (name, step), waited, worked in rows
        ]

    def _queue(self, given: SkimInput, stream: object, space: Space | None, *, timed: bool) -> Any:
        call = Arguments(stream, self.device)
        return self._native.run(
            *given.taken(call, visual_only=self.visual_only),
            call.stream,
            self._persistent,
            self._projected,
            None if space is None else space.workspace,
            None if space is None else [getattr(space.result, field.name) for field in fields(space.result)],
            timed,
        )
