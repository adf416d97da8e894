"""The parts of one video, several at once: the same bits, no more threads, nothing decoded twice."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from l2l_engine import Classifier, MediaError
from l2l_engine.media import MediaSource, demux
from l2l_engine.media.source import FrameAt
from l2l_engine.plan import MediaSettings
from l2l_engine.run import workers
from l2l_engine.run.chunks import Chunk
from l2l_engine.run.collector import Collector
from l2l_engine.run.extraction import Extraction
from l2l_engine.run.host import HostStore
from l2l_engine.run.readers import Readers
from l2l_engine.run.session import Session
from l2l_engine.run.watch import Stage, Watch
from l2l_engine.run.workers import Workers
from tests.api.answers import HOP, same_answer
from tests.media.test_parts import FILES, content


@pytest.fixture(scope="module")
def crews(plan_file: Path) -> Iterator[dict[int, Classifier]]:
    made = {threads: Classifier(plan_file, threads=threads) for threads in (1, 2, 5)}
    yield made
    for classifier in made.values():
        classifier.close()


@pytest.mark.parametrize("sampling", ["exact", "auto", "keyframes", "listen"])
@pytest.mark.parametrize("name", [*FILES, "damaged", "cut"])
def test_any_number_of_threads_gives_the_same_bits(
    crews: dict[int, Classifier], name: str, sampling: str
) -> None:
    options = {"sampling": sampling, "max_image_gap_s": 2 * HOP}
    answers = [crew.predict(content(name), **options) for crew in crews.values()]  # type: ignore[arg-type]
    assert answers[0].media is not None
    assert answers[0].media.image_knots > 1 or sampling == "keyframes"
    for answer in answers[1:]:
        assert same_answer(answer, answers[0])


def test_a_file_object_gives_them_too(crews: dict[int, Classifier]) -> None:
    by_bytes = crews[2].predict(content("mp4"), sampling="exact")
    answer = crews[2].predict(io.BytesIO(content("mp4")), sampling="exact")
    np.testing.assert_array_equal(answer.probabilities, by_bytes.probabilities)
    assert answer.moments == by_bytes.moments


def test_no_more_than_its_threads_decode_or_encode(plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: set[int] = set()
    most = 0

    def counted(work: Callable[..., None]) -> Callable[..., None]:
        def run(*args: object) -> None:
            nonlocal most
            inside.add(threading.get_ident())
            most = max(most, len(inside))
            work(*args)
            inside.discard(threading.get_ident())

        return run

    monkeypatch.setattr(Extraction, "_decode", counted(Extraction._decode))
    with Classifier(plan_file, threads=2) as classifier:
        list(classifier.predict_many([content("mp4")] * 6, workers=4, sampling="exact", max_image_gap_s=HOP))
    assert most == 2


def test_what_was_extracted_is_not_decoded_again(crews: dict[int, Classifier]) -> None:
    pipeline = crews[2]._require_open()
    with pipeline.open(content("mp4"), Watch("a video")) as session:
        times = session.timestamps
        session.extract(times[::4], times[::4])
        before = session.skim(3)
        session.extract(times[::4], times[::8])
        again = session.skim(3)
        assert again.media == before.media
        session.extract(times[::2], times[:0])
        more = session.skim(3)
        assert more.media.image_knots == len(times[::2])
        assert more.media.audio_knots == before.media.audio_knots
    with pipeline.open(content("mp4"), Watch("a video")) as session:
        session.extract(times[::2], times[::4])
        np.testing.assert_array_equal(session.skim(3).result.logits, more.result.logits)


def extract_again_and_again(session: Session) -> None:
    """The machine may be so fast that once leaves nothing to interrupt."""
    for _ in range(12):
        session.extract(session.timestamps, session.timestamps)


def test_an_interrupted_extraction_can_go_on(
    crews: dict[int, Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "TICK_S", 0.001)  # so that a caller looks up while it lasts

    class Enough(Exception):  # noqa: N818
        pass

    calls = 0

    def report(stage: Stage, done: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise Enough

    pipeline = crews[2]._require_open()
    with pipeline.open(content("b-frames"), Watch("a video", progress=report)) as session:
        times = session.timestamps
        with pytest.raises(Enough):
            extract_again_and_again(session)
        session.extract(times, times)
        gone_on = session.skim(3)
    with pipeline.open(content("b-frames"), Watch("a video")) as session:
        session.extract(times, times)
        straight = session.skim(3)
    assert gone_on.media.coverage == straight.media.coverage == 1.0
    np.testing.assert_array_equal(gone_on.result.logits, straight.result.logits)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_any_part_comes_out_as_it_is(
    crews: dict[int, Classifier], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2l_engine.media import frames

    make = frames._picture
    count = 0

    def failing(*args: object) -> object:
        nonlocal count
        count += 1
        if count == 5:
            raise MediaError("the fifth picture")
        return make(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(frames, "_picture", failing)
    with pytest.raises(MediaError, match="the fifth picture"):
        crews[threads].predict(content("mp4"), sampling="exact", max_image_gap_s=HOP)
    count = 100
    crews[threads].predict(content("mp4"), sampling="exact")


@pytest.mark.parametrize(("threads", "busy", "opened"), [(1, 0, 1), (2, 0, 2), (2, 1, 1), (5, 1, 2)])
def test_a_file_is_opened_by_a_second_thread_if_one_is_free(
    crews: dict[int, Classifier], threads: int, busy: int, opened: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    first = threading.Event()
    real = demux.open_container

    def noting(*args: object) -> object:
        names.append(threading.current_thread().name)
        if len(names) == 2:
            first.set()
        first.wait(10 if len(names) < opened else 0)  # both are under way at the same time
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(demux, "open_container", noting)
    pipeline, go, begun = crews[threads]._pipeline, threading.Event(), threading.Barrier(busy + 1)
    assert pipeline is not None
    with pipeline._workers.job() as other:
        for _ in range(busy):
            other.submit(lambda: (begun.wait(10), go.wait(10)))  # type: ignore[arg-type,return-value]
        begun.wait(10)
        crews[threads].explain(content("mp4"))
        go.set()
        other.finish(lambda: None)
    assert len(names) == opened
    assert len(set(names)) == opened


class Endless:
    """A file whose frames cost nothing."""

    frames_decoded = 0
    out = 0

    def iter_frames(self, times: NDArray[np.float64], **_: object) -> Iterator[FrameAt]:
        for row in range(len(times)):
            Endless.out += 1
            yield FrameAt(row, np.zeros((2, 2, 3), np.uint8), float(times[row]))


def frames_of(source: MediaSource, times: NDArray[np.float64], poll: object) -> Iterator[FrameAt]:
    del poll
    return source.iter_frames(times, short_side=2, crop=2)


class Slow:
    """A network that never keeps up."""

    features = 3
    done = 0
    most = 0

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        Slow.most = max(Slow.most, Endless.out - Slow.done)
        time.sleep(0.001)
        Slow.done += len(batch)
        return np.zeros((len(batch), 3), np.float32)


@pytest.mark.parametrize("threads", [1, 3])
def test_decoded_samples_do_not_pile_up(threads: int) -> None:
    Endless.out = Slow.done = Slow.most = 0
    crew = Workers(threads)
    source: MediaSource = Endless()  # type: ignore[assignment]
    collector = Collector(Stage.FRAMES, HostStore(Slow().encode, 8))
    with crew.job() as job:
        extraction = Extraction(job, Readers(source), MediaSettings(), Watch("endless"), frames_of)
        extraction.run([[Chunk(collector, np.arange(2000.0))]])
    crew.close()
    assert collector.decoded == Endless.out == Slow.done == 2000
    assert Slow.most <= 8 * (2 * threads + 2)


def test_the_last_batch_is_divided_where_a_thread_has_nothing_to_do() -> None:
    sizes: list[int] = []

    class Count:
        def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            sizes.append(len(batch))
            return batch.reshape(-1, 1).astype(np.float32)

    def encoded(threads: int, more: bool = False) -> tuple[list[int], list[float]]:
        sizes.clear()
        crew, go = Workers(threads), threading.Event()
        store = HostStore(Count().encode, 16)
        collector = Collector(Stage.AUDIO, store)
        for value in range(15):
            collector.add(float(value), np.array([value]))
        with crew.job() as job, crew.job() as other:
            for _ in range((threads + 1) * more):  # one more than the threads can take up
                other.submit(go.wait)  # type: ignore[arg-type]
            source: MediaSource = Endless()  # type: ignore[assignment]
            extraction = Extraction(job, Readers(source), MediaSettings(), Watch("sound"), frames_of)
            extraction._done[Stage.ENCODE] = 0
            extraction._encode_now(collector, collector.batch(1))
            go.set()
            job.finish(lambda: None)
            other.finish(lambda: None)
        crew.close()
        bank = store.bank(collector.collected())
        assert bank is not None
        return sorted(sizes), bank.features[:, 0].tolist()

    assert encoded(1) == ([15], list(range(15)))
    assert encoded(2, more=True) == ([15], list(range(15)))
    assert encoded(2) == ([3, 4, 8], list(range(15)))
