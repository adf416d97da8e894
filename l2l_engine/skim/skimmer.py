"""ImgAud-Skimming (Eq. 5-9 of the paper): where to look, where to listen, and what it all says.

A thin front of the native skimmer: it settles dtypes and names the argument at fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2l_engine import _native, arguments
from l2l_engine.machine import processors
from l2l_engine.skim.inputs import Host, KeyActivation, Modality, Precision, SkimInput

Instructions = Literal["auto", "portable", "avx2", "avx512", "avx512_bf16"]


@dataclass(frozen=True, slots=True, eq=False)
class SkimResult:
    """What one run of the skimmer gave; all float32.

    Attributes:
        logits: [B, C], the classifier on the mean of the T step features (Eq. 9).
        image_attention, audio_attention: [B, T, N]. Row t is the attention computed *at* step t from the
            state h_t (Eq. 6), so it chose the input of step t + 1; the last row chose nothing. A row
            sums to 1 over the video's own timestamps and is 0 past its length; all 0 for an absent modality.
        modality_scores: [B, T, 2], (s^I, s^A) of Eq. 8 at step t; positive, sum 1.
        step_features: [B, T, D], fused feature of step t; step 0 is the mean that starts it.
        step_logits: [B, T, C], what the logits would be after fewer steps. Row t - 1 is Eq. 9 for T = t: the
            classifier on the mean of the first t step features. Row T - 1 is ``logits``, bit for bit.
    """

    logits: NDArray[np.float32]
    image_attention: NDArray[np.float32]
    audio_attention: NDArray[np.float32]
    modality_scores: NDArray[np.float32]
    step_features: NDArray[np.float32]
    step_logits: NDArray[np.float32]


class SkimmingModel(Protocol):
    """What the pipeline asks of a skimmer, or of what stands in its place; safe from many threads."""

    def run(  # noqa: PLR0917 - as Skimmer.run
        self,
        image_bank: NDArray[np.float32] | None,
        audio_bank: NDArray[np.float32] | None,
        image_times: NDArray[np.float64] | None,
        audio_times: NDArray[np.float64] | None,
        timestamps: NDArray[np.float64],
        steps: int,
        *,
        modality: Modality = "both",
    ) -> SkimResult:
        """Skim a batch of videos; see :meth:`Skimmer.run`."""


class Skimmer:
    """The trained skimmer, ready to run. Immutable; any number of threads may call :meth:`run` at once.

    The same input gives the same bits whatever the number of threads and whatever else is in the batch.

    Args:
        weights: The ``skim.*`` tensors of a plan without that prefix; float32, float16 or bfloat16, with
            D features, F fused, H state, K key values and C classes:
            ``fusion.0`` [F, 2D], ``fusion.1`` [D, F], ``key_image`` and ``key_audio`` [K, D],
            ``query_image.i`` and ``query_audio.i`` [.., H] to [K, ..] (i = 0, or 0 and 1 with a ReLU
            between), ``modality`` [2, H] (image, audio), ``classifier`` [C, D], each as ``.weight`` and
            ``.bias``; ``lstm.weight_ih`` [4H, D], ``lstm.weight_hh`` [4H, H], ``lstm.bias`` [4H], gates
            i, f, g, o. With ``pair_image.0`` and ``pair_audio.0`` [P, 2D] and ``pair_image.1`` and
            ``pair_audio.1`` [D, P] (preset ``paired``), to every feature is first added what these say of it
            and of the other modality's at its time. Visual only: ``fusion.0`` is [F, D] and the audio and
            modality tensors are absent.
        key_activation: ``"relu"`` puts a ReLU after the key layers (``released`` preset).
        exclude_previous_argmax: Give no attention to moments that were the argmax of an earlier step, by
            modality (``released`` preset). Argmax is the lowest index among equals; when every moment of
            a video is excluded, all are allowed again.
        precision: How weights and banks are stored; sums and softmax are always float32. ``"auto"``
            takes bf16 where the CPU multiplies it natively, else fp32.
        threads: Threads one run may use (1 to 1024), the caller's among them; all CPUs this process may
            run on by default. A run that finds them at work for another run uses its caller's thread alone.
        instructions: CPU instructions to use; the newest this CPU has by default. Results differ between
            them by rounding.

    Raises:
        TypeError: A tensor or argument is of the wrong type; the message names it.
        ValueError: A tensor is missing, unexpected, misshapen or not finite, or an argument is out of
            range; the message names it.
    """

    def __init__(
        self,
        weights: Mapping[str, ArrayLike],
        *,
        key_activation: KeyActivation = "none",
        exclude_previous_argmax: bool = False,
        precision: Precision = "fp32",
        threads: int | None = None,
        instructions: Instructions = "auto",
    ) -> None:
        arguments.one_of("key_activation", key_activation, ("none", "relu"))
        arguments.one_of("precision", precision, ("fp32", "bf16", "fp16", "auto"))
        if not isinstance(weights, Mapping):
            raise TypeError(f"weights: expected a mapping, got {type(weights).__name__}")
        arguments.one_of("instructions", instructions, ("auto", "portable", "avx2", "avx512", "avx512_bf16"))
        budget = processors() if threads is None else arguments.integer("threads", threads)
        tensors = {str(name): arguments.float32(str(name), value) for name, value in weights.items()}
        self._native = _native.Skimmer(
            tensors, key_activation == "relu", bool(exclude_previous_argmax), precision, instructions, budget
        )

    @property
    def feature_size(self) -> int:
        """D."""
        return self._native.feature_size

    @property
    def class_count(self) -> int:
        """C."""
        return self._native.class_count

    @property
    def visual_only(self) -> bool:
        """Whether the weights know no audio."""
        return self._native.visual_only

    @property
    def precision(self) -> str:
        """What ``precision`` became: ``"fp32"``, ``"bf16"`` or ``"fp16"``."""
        return self._native.precision

    @property
    def instructions(self) -> str:
        """What ``instructions`` became."""
        return self._native.instructions

    @property
    def threads(self) -> int:
        """Threads one run may use."""
        return self._native.threads

    def run(  # noqa: PLR0917 - two banks, their times and the axis belong together
        self,
        image_bank: ArrayLike | None,
        audio_bank: ArrayLike | None,
        image_times: ArrayLike | None,
        audio_times: ArrayLike | None,
        timestamps: ArrayLike,
        steps: int,
        *,
        image_lengths: ArrayLike | None = None,
        audio_lengths: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        modality: Modality = "both",
    ) -> SkimResult:
        """Skim a batch of videos (Eq. 5-9), starting from the mean of their interpolated rows.

        Args:
            image_bank: [B, Mi, D] features at the image knots; float32, float16 or bfloat16. Not read
                (None will do, for its times too) with ``modality="audio"``.
            audio_bank: [B, Ma, D], likewise. Not read with ``modality="image"`` or visual-only weights.
            image_times: [B, Mi] seconds, strictly increasing; features between two knots are
                interpolated, before the first and after the last the nearest holds.
            audio_times: [B, Ma], likewise.
            timestamps: [B, N] seconds, the moments attention is spread over, in any order.
            steps: T, 1 to 1000; the result rests on T - 1 chosen mixtures.
            image_lengths: int [B], knots of each video (1 to Mi); what lies past them is never read.
            audio_lengths: int [B], likewise.
            lengths: int [B], timestamps of each video (1 to N).
            modality: What the videos have. The missing bank counts as one zero row, and the modality
                scores are forced.

        Raises:
            TypeError: An argument is of the wrong type or dtype; the message names it.
            ValueError: An argument is of the wrong rank or shape, out of range or not finite, or knots
                do not increase; the message names it.
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
        outputs = self._native.run(*given.taken(Host(), visual_only=self.visual_only))
        return SkimResult(*outputs)
