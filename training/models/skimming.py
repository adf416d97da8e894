"""ImgAud-Skimming: where to look and listen next (Eq. 5-9), batched for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from training.models.banks import Bank, Exclusion, Interpolation, NormedLinear, attend
from training.models.fusion import Fusion

MODALITIES = ("image", "audio")


@dataclass(slots=True)
class SkimBatch:
    """The feature banks of B videos, padded to common lengths.

    Attributes:
        image, audio: float32 [B, M, D], features at the knots; M may differ between the two.
        image_times, audio_times: float32 [B, M], seconds, increasing within a video's length.
        image_lengths, audio_lengths: int64 [B]; 0 for a missing modality.
        lengths: int64 [B], timestamps of each video.
        hop: Seconds between timestamps.
    """

    image: Tensor
    audio: Tensor
    image_times: Tensor
    audio_times: Tensor
    image_lengths: Tensor
    audio_lengths: Tensor
    lengths: Tensor
    hop: float

    def to(self, device: torch.device) -> SkimBatch:
        """Return the same batch on a device."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "hop"}
        return replace(self, **moved)

    def modality(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return features, times and lengths of "image" or "audio"."""
        return getattr(self, name), getattr(self, f"{name}_times"), getattr(self, f"{name}_lengths")


@dataclass(slots=True)
class SkimOutput:
    """What every step gave.

    Attributes:
        logits: [B, C] after all steps (Eq. 9).
        image_attention, audio_attention: [B, T, N], w^I and w^A of each step (Eq. 6); zero for a modality
            that the video or the network lacks.
        modality_scores: [B, T, 2], s^I and s^A.
        step_features: [B, T, D], Psi of what each step saw.
    """

    logits: Tensor
    image_attention: Tensor
    audio_attention: Tensor
    modality_scores: Tensor
    step_features: Tensor


class NormedLSTM(nn.Module):
    """An LSTM cell whose weights are g v / |v|, row by row."""

    weight_ih_v: nn.Parameter
    weight_ih_g: nn.Parameter
    weight_hh_v: nn.Parameter
    weight_hh_g: nn.Parameter

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        plain = nn.LSTMCell(features, hidden)
        self.bias_ih, self.bias_hh = plain.bias_ih, plain.bias_hh
        for name, weight in (("ih", plain.weight_ih), ("hh", plain.weight_hh)):
            self.register_parameter(f"weight_{name}_v", nn.Parameter(weight.detach()))
            self.register_parameter(
                f"weight_{name}_g", nn.Parameter(weight.detach().norm(dim=1, keepdim=True))
            )

    @property
    def weight_ih(self) -> Tensor:
        """[4H, D]."""
        return self.weight_ih_g * nn.functional.normalize(self.weight_ih_v, dim=1)

    @property
    def weight_hh(self) -> Tensor:
        """[4H, H]."""
        return self.weight_hh_g * nn.functional.normalize(self.weight_hh_v, dim=1)

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """Take one step, as ``nn.LSTMCell`` does."""
        if state is None:
            nothing = inputs.new_zeros(len(inputs), self.bias_hh.shape[0] // 4)
            state = nothing, nothing
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        return torch.lstm_cell(inputs, state, *weights)


class SkimmingNetwork(nn.Module):
    """The skimmer. Parameters carry the plan's names (DESIGN 6), but for what a plan has folded.

    Args:
        classes: C.
        features: D.
        fusion: F, the hidden size of Psi.
        keys: K, the size of keys and queries.
        hidden: H, the LSTM's size.
        preset: "paper"; "paired": to every feature is added what it says together with the other modality's
            at its time, so that a query can ask for what is seen *and* heard; or "released": keys behind
            batch norm and ReLU, two-layer queries, a weight-normed LSTM, and no attention on moments that
            were an earlier argmax.
        modalities: ("image", "audio"), ("image",) for a visual-only one, or ("audio",) for an audio-only one.
    """

    def __init__(
        self,
        classes: int,
        *,
        features: int,
        fusion: int,
        keys: int,
        hidden: int,
        preset: str = "paper",
        modalities: Sequence[str] = MODALITIES,
    ) -> None:
        super().__init__()
        self.released, self.paired = preset == "released", preset == "paired"
        self.modalities = tuple(modalities)
        self.fusion = Fusion(features, fusion, len(self.modalities))
        for name in self.modalities if self.paired else ():
            self.add_module(f"pair_{name}", Fusion(features, fusion))
        for name in self.modalities:
            key = NormedLinear(features, keys) if self.released else nn.Linear(features, keys)
            self.add_module(f"key_{name}", key)
        for name in self.modalities:
            layers = [NormedLinear(hidden, hidden)] if self.released else []
            self.add_module(f"query_{name}", nn.ModuleList([*layers, nn.Linear(hidden, keys)]))
        self.lstm = NormedLSTM(features, hidden) if self.released else nn.LSTMCell(features, hidden)
        if len(self.modalities) > 1:
            self.modality = nn.Linear(hidden, 2)
        self.classifier = nn.Linear(features, classes)

    def forward(self, batch: SkimBatch, steps: int, blocked: Tensor | None = None) -> SkimOutput:
        """Skim each video for ``steps`` steps (T).

        ``blocked`` (bool [B, T, 2]) takes a modality's vote away at a step; never both, and never the only
        one's.
        """
        return self.skim(self.joined(batch), steps, blocked)

    def joined(self, batch: SkimBatch) -> SkimBatch:
        """Return the banks that are skimmed: as they are, or with preset ``paired``
        z^I + Psi^I(z^I, z^A at its time) at the image knots, and the mirror image at the audio knots.
        """
        if not self.paired:
            return batch
        image, image_times, images = batch.modality("image")
        audio, audio_times, sounds = batch.modality("audio")
        heard = Interpolation(audio_times, sounds, image_times).rows(audio) * (sounds > 0)[:, None, None]
        seen = Interpolation(image_times, images, audio_times).rows(image) * (images > 0)[:, None, None]
        pair_image, pair_audio = self.get_submodule("pair_image"), self.get_submodule("pair_audio")
        return replace(batch, image=image + pair_image(image, heard), audio=audio + pair_audio(seen, audio))

    def skim(self, batch: SkimBatch, steps: int, blocked: Tensor | None = None) -> SkimOutput:
        """Eq. 5-9 over banks that are joined already; arguments as of :meth:`forward`."""
        n = int(batch.lengths.max())
        stamps = batch.hop * torch.arange(n, device=batch.image.device)
        valid = torch.arange(n, device=batch.image.device) < batch.lengths[:, None]
        banks = {name: self._bank(name, batch, stamps, valid) for name in self.modalities}
        absent = torch.stack([batch.modality(name)[2] == 0 for name in self.modalities], dim=1)
        exclusions = {name: Exclusion(valid) for name in self.modalities} if self.released else {}
        state: tuple[Tensor, Tensor] | None = None
        mix = valid / batch.lengths[:, None]
        attention: list[Tensor] = []
        scores: list[Tensor] = []
        features: list[Tensor] = []
        for step in range(steps):
            features.append(self.fusion(*(bank.index(mix) for bank in banks.values())))
            state = self.lstm(features[-1], state)  # Eq. 5
            looks = []
            for name, bank in banks.items():
                found = bank.scores(self.query(name, state[0]))
                exclusion = exclusions.get(name)
                looks.append(attend(found, valid if exclusion is None else exclusion.allowed()))
                if exclusion is not None:
                    exclusion.visit(looks[-1].detach())
            attention.append(torch.stack(looks, dim=2))
            scores.append(self._votes(state[0], absent, None if blocked is None else blocked[:, step]))
            # Eq. 8 is linear in the weights: one mixture indexes both banks.
            mix = torch.einsum("bnm,bm->bn", attention[-1], scores[-1])
        return self._output(attention, scores, features, absent)

    def _bank(self, name: str, batch: SkimBatch, stamps: Tensor, valid: Tensor) -> Bank:
        rows, times, lengths = batch.modality(name)
        seen = valid & (lengths > 0)[:, None]
        return Bank(rows, Interpolation(times, lengths, stamps), self.get_submodule(f"key_{name}"), seen)

    def query(self, name: str, state: Tensor) -> Tensor:
        """q^m of h_t: [B, H] to [B, K]."""
        *before, last = self.get_submodule(f"query_{name}").children()
        for layer in before:
            state = torch.relu(layer(state))
        query: Tensor = last(state)
        return query

    def _votes(self, state: Tensor, absent: Tensor, blocked: Tensor | None) -> Tensor:
        """s^I and s^A, or the only modality's 1: [B, modalities]."""
        if len(self.modalities) == 1:
            return torch.ones_like(state[:, :1])
        silenced = absent if blocked is None else absent | (blocked & ~absent.flip(1))
        silenced = silenced & ~silenced.all(dim=1, keepdim=True)  # of nothing, both vote for nothing
        votes: Tensor = self.modality(state)
        return votes.masked_fill(silenced, float("-inf")).softmax(dim=1)

    def _output(
        self,
        attention: Sequence[Tensor],
        scores: Sequence[Tensor],
        features: Sequence[Tensor],
        absent: Tensor,
    ) -> SkimOutput:
        looks = torch.stack(list(attention), dim=1) * ~absent[:, None, None]
        votes = torch.stack(list(scores), dim=1)
        if len(self.modalities) == 1:
            nothing = torch.zeros_like(looks), torch.zeros_like(votes)
            ordered = zip((looks, votes), nothing, strict=True)
            if self.modalities == ("audio",):
                ordered = zip(nothing, (looks, votes), strict=True)
            looks, votes = (torch.cat(pair, dim=-1) for pair in ordered)
        steps = torch.stack(list(features), dim=1)
        return SkimOutput(
            logits=self.classifier(steps.mean(dim=1)),  # Eq. 9
            image_attention=looks[..., 0],
            audio_attention=looks[..., 1],
            modality_scores=votes,
            step_features=steps,
        )

    def step_logits(self, output: SkimOutput) -> Tensor:
        """Return logits [B, T, C] when stopping after 1, 2, ... T steps."""
        steps = output.step_features.shape[1]
        counts = torch.arange(1, steps + 1, device=output.step_features.device)[:, None]
        logits: Tensor = self.classifier(output.step_features.cumsum(dim=1) / counts)
        return logits
