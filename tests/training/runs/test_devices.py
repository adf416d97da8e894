"""Training on several processes, and in several precisions."""

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from training.learning.learner import Learner
from training.runs import devices
from training.runs.checkpoint import Checkpoint
from training.runs.seeds import seed_everything

sys.path.append(str(Path(__file__).parent))
import toy_stage

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The folder of a stage that two processes trained, one of them the leading one."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(Path(toy_stage.__file__)), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def said(folder, rank):
    return json.loads((folder / f"rank-{rank}.json").read_text())


def test_two_processes_learn_what_one_learns_from_the_whole_batch(two_processes, tmp_path):
    alone, both = toy_stage.summary(tmp_path), said(two_processes, 0)
    assert (alone["processes"], both["processes"]) == (1, 2)
    assert len(both["losses"]) == 2 * 3  # the second go: epochs 2 and 3 of three batches each
    np.testing.assert_allclose(both["losses"], alone["losses"], rtol=1e-5)
    for found, expected in zip(both["weights"], alone["weights"], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_all_processes_hold_the_same_network_and_augment_differently(two_processes):
    first, second = said(two_processes, 0), said(two_processes, 1)
    for name in ("losses", "weights", "normed"):
        assert first[name] == second[name], name
    assert first["noise"] != second["noise"]


def test_processes_do_all_of_some_work_in_parts(two_processes):
    for rank in (0, 1):
        assert said(two_processes, rank)["gathered"] == [[0, 0], [2, 0], [4, 0], [1, 1], [3, 1]]
    assert devices.gather(list(devices.part(range(3)))) == [0, 1, 2]


def test_work_of_the_leading_process_waits_for_no_one_and_shares_nothing(two_processes):
    assert json.loads((two_processes / "lead-0.json").read_text()) == [0, 1, 7]
    assert json.loads((two_processes / "lead-1.json").read_text()) is None


def test_the_leading_process_alone_writes(two_processes):
    assert (two_processes / "ignored-0.json").exists()
    assert not (two_processes / "ignored-1.json").exists()
    lines = (two_processes / "plain/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_equal_shares_of_a_batch(monkeypatch):
    monkeypatch.setattr(devices, "processes", lambda: SimpleNamespace(num_processes=2, process_index=1))
    assert devices.share([4, 5, 6, 7, 8]) == [5, 7]
    assert devices.share(np.arange(4)).tolist() == [1, 3]
    with pytest.raises(ValueError, match="a batch of 1 cannot be shared by 2 processes"):
        devices.share([3])


def learner(precision, network=None):
    network = network or torch.nn.Linear(2, 1)
    return Learner(network, rate=0.1, weight_decay=0.0, updates=4, warm_up=0.5, clip=1.0, precision=precision)


@pytest.mark.parametrize(
    ("precision", "kind"),
    [
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
        ("fp16", torch.float16),
        ("auto", torch.bfloat16),
    ],
)
def test_autocast_computes_in_the_configured_precision(precision, kind):
    network = torch.nn.Linear(2, 1)
    with devices.autocast(precision, torch.device("cpu")):
        assert network(torch.zeros(1, 2)).dtype == kind
    assert network(torch.zeros(1, 2)).dtype == torch.float32


def test_other_precisions_are_refused():
    with pytest.raises(ValueError, match="precision is 'int8'; it can be auto, fp32"):
        learner("int8")


def test_fp16_losses_are_scaled_and_overflows_left_out(tmp_path):
    network = torch.nn.Linear(2, 1)
    learns = learner("fp16", network)
    before = network.weight.clone()
    learns.learn(network(torch.tensor([[math.inf, 1.0]])).mean())
    assert torch.equal(network.weight, before)
    state = learns.state()
    assert state["scaler"]["scale"] == 65536.0 / 2
    assert state["schedule"]["last_epoch"] == 0
    learns.learn(network(torch.tensor([[2.0, 1.0]])).mean())
    assert not torch.equal(network.weight, before)
    # Clipped to norm 1 after the scale was taken out again, and Adam's first step is as long as the rate.
    continued = learner("fp16", torch.nn.Linear(2, 1))
    Checkpoint(tmp_path, {}).load()
    Checkpoint(tmp_path, {}).save(learns.state())
    continued.restore(Checkpoint(tmp_path, {}).load())
    assert continued.state()["scaler"]["scale"] == 65536.0 / 2
    assert continued.state()["schedule"]["last_epoch"] == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_progress(terminal, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    network = torch.nn.Linear(2, 1)
    learns = learner("fp32", network)
    for _ in range(4):
        learns.learn(network(torch.ones(1, 2)).mean())
    assert ("Linear: 100%" in stream.getvalue() and "4/4" in stream.getvalue()) == terminal
    assert bool(stream.getvalue()) == terminal
    # A killed run goes on where its bar was.
    stream.truncate(0)
    learner("fp32").restore(learns.state())
    assert ("4/4" in stream.getvalue()) == terminal


def test_tensorboard_and_the_metrics_say_the_same(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    checkpoint = Checkpoint(tmp_path, {})
    checkpoint.load()
    for epoch, loss in enumerate((0.5, 0.25)):
        checkpoint.log({"epoch": epoch, "loss": loss})
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert events.Tags()["scalars"] == ["loss"]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(0, 0.5), (1, 0.25)]
    # Other settings: the curves of the old ones go with the rest.
    Checkpoint(tmp_path, {"rate": 2}).load()
    assert not (tmp_path / "events").exists()


def test_one_process_draws_as_ever():
    rng = seed_everything(3, 1)
    first = rng.random(), float(torch.rand(1))
    rng = seed_everything(3, 1)
    assert (rng.random(), float(torch.rand(1))) == first
