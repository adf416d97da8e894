"""The head as a plan: joined files, written as WAV, through the engine, beside PyTorch's answers."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import l2l_engine
from l2l_engine.plan import PlanDocument, SamplingSettings, SkimSettings, write_plan
from studies.untrimmed.embeddings import Ears, Heard
from studies.untrimmed.methods import Material, train_ours
from studies.untrimmed.sounds import RATE, TARGETS, Joined, Sounds, join_files
from training.export.graphs import example_inputs, to_onnx
from training.models import AudioEncoder
from training.models.evidence import STEPS, EvidenceNetwork
from training.skimming.evidence import evidence_logits

FILES = 20


class _Projected(nn.Module):
    """The encoder up to a class's share of the evidence: what the plan calls a feature."""

    def __init__(self, encoder: AudioEncoder, weight: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        with torch.no_grad():
            self.project.weight.copy_(weight)

    def forward(self, samples: Tensor) -> Tensor:
        features: Tensor = self.project(self.encoder.embed(samples))
        return features


def write_evidence_plan(path: Path, ears: Ears, head: EvidenceNetwork) -> None:
    """Write the plan: sound alone, every moment."""
    module = _Projected(ears.encoder, head.weights["audio"].detach()).eval()
    document = PlanDocument(
        classes=TARGETS,
        media=ears.media,
        sampling=SamplingSettings(1, ears.media.hop, ears.media.hop),
        skim=SkimSettings(preset="evidence", steps=STEPS),
        modalities=("audio",),
    )
    graph = to_onnx(module, example_inputs(ears.media, 3)[1], "samples")
    tensors = {name: tensor.float().numpy() for name, tensor in head.tensors().items()}
    write_plan(path, document, graphs={"audio.fp32": graph}, skim=tensors)


def check_runtime(
    work: Path, ears: Ears, sounds: Sounds, heard: Sequence[Heard], material: Material
) -> dict[str, Any]:
    """Return how the engine's answers from files differ from PyTorch's, and where it looked; kept."""
    kept = work / "runtime.json"
    if kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return known
    head = train_ours(material, 0)
    write_evidence_plan(work / "evidence.plan", ears, head)
    count = min(FILES, len(heard))
    expected = evidence_logits(head, [file.track for file in heard[:count]]).softmax(dim=1).numpy()
    same, worst, inside = 0, 0.0, 0
    with l2l_engine.Classifier(
        work / "evidence.plan", device="cpu", threads=1, precision="fp32"
    ) as classifier:
        for number, file in enumerate(join_files(sounds, 1, count)):
            path = work / "joined.wav"
            _write_wave(path, file)
            found = classifier.predict(path, steps=STEPS)
            same += found.label == TARGETS[int(expected[number].argmax())]
            worst = max(worst, float(np.abs(found.probabilities - expected[number]).max()))
            moment = found.moments[0].listen_to
            assert moment is not None
            # A moment stands for the window from it on.
            inside += file.span[0] - 1 < moment < file.span[1]
    found_all = {"files": count, "same_answer": same, "largest_difference": worst, "moment_inside": inside}
    kept.write_text(json.dumps(found_all), encoding="utf-8")
    return found_all


def _write_wave(path: Path, file: Joined) -> None:
    # 32 bits: with 16, what is nearly silent sounds different to networks that hear the logarithm.
    samples = np.clip(np.round(file.wave.astype(np.float64) * 2**31), -(2**31), 2**31 - 1).astype("<i4")
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 4, RATE, len(samples), "NONE", ""))
        out.writeframes(samples.tobytes())
