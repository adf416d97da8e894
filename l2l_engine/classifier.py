"""The one class a user needs: a plan in, predictions out."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from numpy.typing import ArrayLike

from l2l_engine import arguments
from l2l_engine.call import Ask, Call, Explanation
from l2l_engine.call.answer import answered_probabilities, make_prediction
from l2l_engine.call.many import in_order
from l2l_engine.call.segments import segments_of
from l2l_engine.call.selecting import Wanted
from l2l_engine.errors import ClosedError, L2LError, PlanError
from l2l_engine.loading import Precision, load_pipeline, resolve_device, thread_budget
from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile
from l2l_engine.plan import Plan, read_plan
from l2l_engine.result import Features, Prediction, Selection, TimeArray
from l2l_engine.run import forks
from l2l_engine.run.compute import Bank
from l2l_engine.run.pipeline import Pipeline
from l2l_engine.run.watch import Progress, Stopwatch

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from l2l_engine.call import AskOptions, PredictOptions


class Classifier:
    """Says what happens in a video, by the networks of one plan.

    One instance may be used by many threads at once, and gives each the same bits as if it were alone. It
    is a context manager, can be pickled (as its plan's path and options: the other side loads the plan
    again), and refuses to work in a forked child.

    Args:
        plan: Path of a plan file.
        device: "cpu"; "cuda", the first NVIDIA GPU (not yet run on one), or "cuda:1", the second, and so on,
            as CUDA_VISIBLE_DEVICES counts them; or "auto", which is "cpu" in this version. A Classifier works
            on one GPU; several, on the same or on others, share a process.
        threads: Processor threads it may use; by default those this process may run on.
        precision: Arithmetic of the encoders: "fp32", "bf16" (CPU), "fp16" (GPU), "int8" (the last two if
            the plan was exported with it), or "auto" for bf16 where the CPU has it and fp16 on a GPU, else
            fp32. Never int8 unasked: it costs some accuracy. On a CPU that multiplies bf16 the skimmer keeps
            its weights so, unless this is "fp32".
        trust_compiled: Use engines compiled into the plan even if this machine did not build them. Such
            an engine is as good as executable code.
        limits: What one file may cost; see :class:`l2l_engine.Limits`.

    Raises:
        PlanError: If the plan is missing, damaged, or does not add up.
        DeviceError: If the device cannot be used here; the message says why.
    """

    def __init__(
        self,
        plan: str | os.PathLike[str],
        *,
        device: str = "auto",
        threads: int | None = None,
        precision: Precision = "auto",
        trust_compiled: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._pid = os.getpid()
        self._pipeline: Pipeline | None = None
        self._options: dict[str, Any] = {
            "device": device,
            "threads": threads,
            "precision": precision,
            "trust_compiled": trust_compiled,
            "limits": limits,
        }
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be Limits, not {limits!r}")
        self._device = resolve_device(device)
        self._threads = thread_budget(threads)
        self._plan = read_plan(plan)
        self._source = Path(plan).absolute()  # a copy elsewhere may have another working folder
        self._pipeline = load_pipeline(
            self._plan,
            device=self._device,
            threads=self._threads,
            precision=precision,
            trust_compiled=trust_compiled,
            limits=limits,
        )
        self._precision = self._pipeline.precision
        self._limits = limits
        forks.watch(self)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names, in the order of ``Prediction.probabilities``."""
        return self._plan.document.classes

    @property
    def plan(self) -> Plan:
        """The plan, verified and read-only."""
        return self._plan

    @property
    def device(self) -> str:
        """The device that does the work: "cpu", "cuda" for the first GPU, "cuda:1" for the second …"""
        return self._device

    @property
    def precision(self) -> str:
        """Arithmetic of the encoders on this machine, e.g. "bf16"."""
        return self._precision

    def predict(self, path: MediaFile, **options: Unpack[PredictOptions]) -> Prediction:
        """Classify one video file.

        Args:
            path: A path, a URL of an allowed protocol (:class:`l2l_engine.Limits`), the file's bytes,
                or a seekable binary file object (left open, and read from its start; no other thread may use
                it meanwhile).
            steps: Steps T of the skimmer; by default the plan's. T steps choose T-1 moments.
            sampling: Which frames are decoded. "exact": every k-th timestamp, as few as
                ``max_image_gap_s`` allows. "auto": as few as that, but key frames, which cost least,
                where they are dense enough. "keyframes": key frames alone, whatever gaps that leaves.
                "listen": all the sound and a few key frames first, then exact frames only where it listened;
                "auto" if there is no sound.
            max_image_gap_s: Largest gap between frames looked at, in seconds; by default the plan's.
            max_knots: Most frames and most windows of sound to decode, whatever the length; gaps grow.
            budget_ms: Milliseconds from the call until the answer is due. What was planned is decoded coarse
                to fine until then; a budget too small even for one frame and one window of sound is passed,
                never an error. Confidence is calibrated on videos seen whole: with little of what was
                planned (``media`` says how much) it is higher than it should be.
            stop_when: Confidence, above 0 and at most 1, that is enough: decoding, coarse to fine, and the
                steps of the skimmer end where it is reached.
            top_k: Classes to list.
            timeout_s: Give up after this many seconds; ``Limits.wall_clock_s`` holds all the same.
            refine: Of a plan that tells when something happens: look again beside the edges of what was
                found, at a few frames (at most half as many again go through the decoder) and windows of
                sound. Of the prediction only ``segments`` and ``media`` differ for it.
            progress: Called as ``progress(stage, done)`` from this thread, with the stage's name and its
                progress from 0 to 1; whatever it raises ends the prediction.

        Raises:
            MediaError: If the file cannot be used (MediaNotFoundError, MediaAccessError, LimitError are
                kinds of it); the message names the file and the cause.
            PredictionTimeoutError: After ``timeout_s``.
            ClosedError: After ``close``, or in a forked child.
            ValueError, TypeError: If an argument is out of range.
        """
        return self._predict(path, **options)

    def explain(self, path: MediaFile, **options: Unpack[AskOptions]) -> Explanation:
        """Say what :meth:`predict` would decode of a file, and why, without decoding a frame.

        Args:
            path: A file as for :meth:`predict`.
            **options: Those of :meth:`predict`, without ``progress``.

        Raises:
            MediaError, ClosedError, ValueError, TypeError: As :meth:`predict`.
        """
        pipeline = self._require_open()
        return Call(path, self._ask(**options)).explain(pipeline, self._plan)

    def predict_many(
        self,
        paths: Iterable[MediaFile],
        *,
        workers: int | None = None,
        on_error: Literal["raise", "yield"] = "raise",
        **options: Unpack[PredictOptions],
    ) -> Generator[Prediction | L2LError, None, None]:
        """Classify many files, several at a time, and yield the results in the order of ``paths``.

        Args:
            paths: Files as for :meth:`predict`; read lazily, a few ahead of the results.
            workers: Files in work at once; by default as many as threads.
            on_error: "raise" ends the iteration at the first file that fails; "yield" yields that file's
                L2LError in its place and goes on. Also what nobody expected is one: an UnexpectedError.
            **options: As for :meth:`predict`; ``progress`` is called from several threads.

        Returns:
            A generator; closing it (or leaving it to be collected) stops the files in work.

        Raises:
            L2LError: As :meth:`predict`, if ``on_error`` is "raise".
            ValueError, TypeError: If an argument is out of range.
        """
        self._require_open()
        if isinstance(paths, (str, bytes, os.PathLike)):
            raise TypeError("paths must be several files, not one; use predict for one")
        arguments.one_of("on_error", on_error, ("raise", "yield"))
        workers = self._threads if workers is None else arguments.positive("workers", workers)
        progress = options.pop("progress", None)
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, not {progress!r}")
        asked = cast("AskOptions", options)
        self._ask(**asked)  # before a file is blamed for them

        def predict(file: MediaFile, told: Progress, abandoned: threading.Event) -> Prediction:
            return self._predict(file, abandoned, progress=told, **asked)

        keep = on_error == "yield"
        return in_order(predict, paths, workers=workers, keep_errors=keep, progress=progress)

    def features(
        self,
        path: MediaFile,
        *,
        sampling: Literal["auto", "exact", "keyframes"] = "auto",
        max_image_gap_s: float | None = None,
        max_knots: int | None = None,
        timeout_s: float | None = None,
        progress: Progress | None = None,
    ) -> Features:
        """Extract what :meth:`predict` would skim of a file, for :meth:`predict_features`.

        Args:
            path: A file as for :meth:`predict`.
            sampling: As for :meth:`predict`, but not "listen", which decodes by what the skimmer hears.
            max_image_gap_s, max_knots, timeout_s, progress: As for :meth:`predict`.

        Returns:
            The banks; on a GPU they stay there, and PyTorch, CuPy and PyCUDA take them without a copy.

        Raises:
            MediaError, PredictionTimeoutError, ClosedError, ValueError, TypeError: As :meth:`predict`.
        """
        pipeline = self._require_open()
        arguments.one_of("sampling", sampling, ("auto", "exact", "keyframes"))
        ask = self._ask(
            sampling=sampling, max_image_gap_s=max_image_gap_s, max_knots=max_knots, timeout_s=timeout_s
        )
        return Call(path, ask, progress).features(pipeline, self._plan)

    def select(
        self,
        path: MediaFile,
        *,
        frames: int = 8,
        seconds: float | None = None,
        max_knots: int | None = None,
        budget_ms: float | None = None,
        timeout_s: float | None = None,
        progress: Progress | None = None,
    ) -> Selection:
        """Take the frames and the sound out of a long file that matter most.

        It listens to all of the sound and sees a few key frames, looks closer where that leads, and chooses
        by the skimmer's attention, less what was chosen already says: no two are alike, nor less than a hop
        apart. What it returns is not decoded twice.

        Args:
            path: A file as for :meth:`predict`.
            frames: Frames at most; 0 for none.
            seconds: Seconds of sound at most, all windows together. A window is as long as the plan hears at
                once (one second in the paper). By default a window for each frame; 0 for none.
            max_knots: Most frames and most windows of sound to see before choosing, whatever the length.
            budget_ms, timeout_s, progress: As for :meth:`predict`.

        Raises:
            MediaError, PredictionTimeoutError, ClosedError, ValueError, TypeError: As :meth:`predict`.
        """
        pipeline = self._require_open()
        wanted = Wanted.of(self._plan.document, frames, seconds)
        ask = self._ask(sampling="listen", max_knots=max_knots, budget_ms=budget_ms, timeout_s=timeout_s)
        return Call(path, ask, progress).select(pipeline, self._plan, wanted)

    def predict_features(
        self,
        image_bank: ArrayLike | None,
        audio_bank: ArrayLike | None,
        *,
        image_times: ArrayLike | None = None,
        audio_times: ArrayLike | None = None,
        timestamps: ArrayLike | None = None,
        steps: int | None = None,
        top_k: int = 5,
    ) -> Prediction:
        """Classify one video from features that were extracted before.

        Args:
            image_bank: [Mi, D] image features; None if there is no video. On a GPU also an array there,
                float32 or float16, of PyTorch, CuPy, PyCUDA or others: it is not copied to the host.
            audio_bank: [Ma, D] audio features, likewise; None if there is no sound.
            image_times, audio_times: [M] seconds, strictly increasing; by default row index x hop.
            timestamps: [N] seconds to attend over; by default the longer bank's times.
            steps: Steps T of the skimmer; by default the plan's.
            top_k: Classes to list.

        Returns:
            The prediction; its ``media``, ``decoder`` and ``precision`` are None.

        Raises:
            ValueError, TypeError: If an argument is out of range or the shapes do not agree.
            ClosedError: After ``close``, or in a forked child.
        """
        stopwatch = Stopwatch()
        pipeline = self._require_open()
        image = pipeline.bank("image", image_bank, image_times)
        audio = pipeline.bank("audio", audio_bank, audio_times)
        if image is None and audio is None:
            raise ValueError("image_bank and audio_bank are both None")
        if timestamps is not None:
            times = arguments.times("timestamps", timestamps)
        else:
            times = max((bank.times for bank in (image, audio) if bank is not None), key=len)
        ask = self._ask(steps=steps, top_k=top_k)
        result = pipeline.skim(image, audio, times, ask.steps, stopwatch)
        segments = None
        if pipeline.head is not None:
            logits = pipeline.moments(pipeline.head, image, audio, times, stopwatch)
            document = self._plan.document
            segments = segments_of(
                result,
                logits,
                times,
                document,
                probabilities=answered_probabilities(result, document, None),
                end=float(times.max()) + document.media.hop,
            )
        return make_prediction(
            result,
            times,
            self._plan.document,
            has_image=image is not None,
            has_audio=audio is not None,
            top_k=ask.top_k,
            timings=stopwatch.timings(),
            device=self._device,
            recognised="no_file" if pipeline.recogniser is not None else None,
            tagged=None if self._plan.document.tags is None else _features(image, audio, times),
            segments=segments,
        )

    def warmup(self) -> None:
        """Run the networks of every thread once, so that the first prediction costs what later ones do."""
        self._require_open().warmup()

    def close(self) -> None:
        """Let go of the networks. Predictions under way end normally; safe to call twice."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()

    def disown(self) -> list[object]:
        """Hand the native objects over; only for :mod:`l2l_engine.run.forks`."""
        natives: list[object] = [self._pipeline]
        self.close()
        return natives

    def __enter__(self) -> Classifier:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (str(self._source), self._plan.sha256, self._options)

    def _ask(self, **options: Unpack[AskOptions]) -> Ask:
        return Ask.of(self._plan.document, self._limits, **options)

    def _predict(
        self,
        path: MediaFile,
        abandoned: threading.Event | None = None,
        *,
        progress: Progress | None = None,
        **options: Unpack[AskOptions],
    ) -> Prediction:
        pipeline = self._require_open()
        made = Call(path, self._ask(**options), progress, abandoned)
        return made.predict(pipeline, self._plan, device=self._device)

    def _require_open(self) -> Pipeline:
        if os.getpid() != self._pid:
            raise ClosedError(
                "this Classifier was made in the parent process and does not work in a forked child: "
                "make one in the child, or start processes with 'spawn'"
            )
        if self._pipeline is None:
            raise ClosedError("this Classifier is closed")
        return self._pipeline


def _features(image: Bank | None, audio: Bank | None, timestamps: TimeArray) -> Features:
    """What was handed in, as a file would have given it."""
    return Features(
        image_bank=None if image is None else image.features,
        audio_bank=None if audio is None else audio.features,
        image_times=None if image is None else image.times,
        audio_times=None if audio is None else audio.times,
        timestamps=timestamps,
        decoder="",
    )


def _rebuild(plan: str, sha256: str, options: dict[str, Any]) -> Classifier:
    classifier = Classifier(plan, **options)
    if classifier.plan.sha256 != sha256:
        classifier.close()
        raise PlanError(f"{plan}: another plan than the one that was pickled")
    return classifier
