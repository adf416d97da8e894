"""The skimmer as one would write it in PyTorch: unfused, eager, float32 (Eq. 5-9 as printed)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def interpolate(bank: Tensor, knots: Tensor, timestamps: Tensor) -> Tensor:
    """[B, M, D] at knots [B, M] to [B, N, D] at timestamps [B, N]; clamped ends."""
    upper = torch.searchsorted(knots, timestamps).clamp(1, knots.shape[1] - 1)
    low, high = knots.gather(1, upper - 1), knots.gather(1, upper)
    fraction = ((timestamps - low) / (high - low)).clamp(0, 1).to(bank.dtype).unsqueeze(-1)

    def rows(index: Tensor) -> Tensor:
        return bank.gather(1, index.unsqueeze(-1).expand(-1, -1, bank.shape[2]))

    return torch.lerp(rows(upper - 1), rows(upper), fraction)


class PlainSkimmer(nn.Module):
    """The skimmer with the weights of a plan."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        super().__init__()
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}

        def linear(name: str) -> nn.Linear:
            rows, columns = tensors[f"{name}.weight"].shape
            layer = nn.Linear(columns, rows)
            layer.load_state_dict({"weight": tensors[f"{name}.weight"], "bias": tensors[f"{name}.bias"]})
            return layer

        self.fusion = nn.Sequential(linear("fusion.0"), nn.ReLU(), linear("fusion.1"))
        self.key_image, self.key_audio = linear("key_image"), linear("key_audio")
        self.query_image, self.query_audio = linear("query_image.0"), linear("query_audio.0")
        self.modality, self.classifier = linear("modality"), linear("classifier")
        gates, size = tensors["lstm.weight_ih"].shape
        self.lstm = nn.LSTMCell(size, gates // 4)
        self.lstm.load_state_dict(
            {
                "weight_ih": tensors["lstm.weight_ih"],
                "weight_hh": tensors["lstm.weight_hh"],
                "bias_ih": tensors["lstm.bias"],
                "bias_hh": torch.zeros(gates),
            }
        )

    @torch.inference_mode()
    def forward(
        self,
        image_bank: Tensor,
        audio_bank: Tensor,
        image_times: Tensor,
        audio_times: Tensor,
        timestamps: Tensor,
        steps: int,
    ) -> Tensor:
        """Logits [B, C] of banks [B, M, D] at their knots [B, M], over timestamps [B, N]."""
        image = interpolate(image_bank, image_times, timestamps)
        audio = interpolate(audio_bank, audio_times, timestamps)
        image_keys, audio_keys = self.key_image(image), self.key_audio(audio)
        scale = image_keys.shape[-1] ** -0.5
        mixed = torch.cat([image.mean(1), audio.mean(1)], -1)
        state: tuple[Tensor, Tensor] | None = None
        features: list[Tensor] = []
        for _ in range(steps):
            features.append(self.fusion(mixed))
            state = self.lstm(features[-1], state)
            h = state[0]
            image_weights = torch.softmax((image_keys @ self.query_image(h).unsqueeze(-1)) * scale, 1)
            audio_weights = torch.softmax((audio_keys @ self.query_audio(h).unsqueeze(-1)) * scale, 1)
            s = torch.softmax(self.modality(h), -1)
            # Eq. 8: both banks are indexed by both attentions.
            both = torch.cat([image_weights, audio_weights], -1).transpose(1, 2)
            indexed = torch.cat([both @ image, both @ audio], -1)
            mixed = (s.unsqueeze(1) @ indexed).squeeze(1)
        return self.classifier(torch.stack(features).mean(0))
