"""A stage on made-up data, as every stage is written: run alone, or by ``torchrun`` in several processes."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from training.learning.learner import Learner
from training.runs import devices
from training.runs.checkpoint import Checkpoint
from training.runs.files import write_json
from training.runs.seeds import seed_everything

EPOCHS, BATCH = 3, 8


def data():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((24, 5)).astype(np.float32)
    return x, (x @ rng.standard_normal((5, 2)).astype(np.float32)) ** 2


def network(norm):
    middle = torch.nn.BatchNorm1d(7) if norm else torch.nn.Tanh()
    return torch.nn.Sequential(torch.nn.Linear(5, 7), middle, torch.nn.Linear(7, 2))


def train(folder, *, norm=False, epochs=EPOCHS, precision="fp32"):
    """Returns the losses of all updates, and the network."""
    checkpoint = Checkpoint(folder, {"norm": norm})
    state = checkpoint.load()
    x, y = data()
    seed_everything(3)
    net = network(norm)
    updates = EPOCHS * len(x) // BATCH
    learner = Learner(
        net, rate=0.1, weight_decay=0.01, updates=updates, warm_up=0.2, clip=1.0, precision=precision
    )
    learner.restore(state)
    losses = []
    while learner.done < epochs:
        order = seed_everything(3, learner.done).permutation(len(x))
        net.train()
        for start in range(0, len(order), BATCH):
            chosen = devices.share(order[start : start + BATCH])
            inputs, wanted = learner.place(torch.from_numpy(x[chosen]), torch.from_numpy(y[chosen]))
            with learner.autocast():
                found = net(inputs)
            losses.append(float(learner.learn((found.float() - wanted).square().mean())))
        learner.done += 1
        checkpoint.log({"epoch": learner.done, "loss": losses[-1]})
        checkpoint.save(learner.state())
    return losses, net


def summary(folder):
    """What this process came to: without batch norm in two goes, then with it."""
    train(folder / "plain", epochs=1)
    losses, net = train(folder / "plain")
    _, normed = train(folder / "norm", norm=True)
    return {
        "losses": losses,
        "weights": [value.flatten().tolist() for value in net.state_dict().values()],
        "normed": [value.flatten().tolist() for value in normed.state_dict().values()],
        "processes": devices.processes().num_processes,
        "gathered": devices.gather([[row, devices.rank()] for row in devices.part(range(5))]),
        "noise": float(torch.rand(1)),
    }


@devices.by_lead
def work_of_the_lead(rows, *, more):
    devices.wait()  # the other process is not here
    return [*devices.part(range(rows)), *devices.share([7, 8, 9])][: rows + more]


if __name__ == "__main__":
    out = Path(sys.argv[1])
    found = summary(out)
    write_json(out / f"ignored-{devices.rank()}.json", {})
    (out / f"rank-{devices.rank()}.json").write_text(json.dumps(found))
    (out / f"lead-{devices.rank()}.json").write_text(json.dumps(work_of_the_lead(2, more=1)))
