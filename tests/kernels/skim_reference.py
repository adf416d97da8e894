"""The unfused formulas of the design page (section 2) in float64: the only judge of a kernel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Reference(NamedTuple):
    logits: np.ndarray
    image_attention: np.ndarray
    audio_attention: np.ndarray
    modality_scores: np.ndarray
    step_features: np.ndarray
    step_logits: np.ndarray


def interpolate(rows, knots, timestamps):
    """z_j, linear between knots; np.interp holds the end values outside."""
    return np.stack([np.interp(timestamps, knots, column) for column in np.asarray(rows, np.float64).T], 1)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def joined(modality, own, other, layer, store):
    """A bank as preset "paired" joins it: z + Psi^m(z^I, z^A), what is missing counting as zeros."""
    if own is None:
        return None
    rows = store(np.asarray(own[0], np.float64))
    others = np.zeros_like(rows) if other is None else store(interpolate(*other, own[1]))
    both = np.concatenate([rows, others] if modality == "image" else [others, rows], 1)
    return rows + layer(f"pair_{modality}.1", np.maximum(layer(f"pair_{modality}.0", both), 0)), own[1]


def skim(
    weights, image, audio, timestamps, steps,
    *, key_activation="none", exclude_previous_argmax=False, store=lambda x: x,
):  # fmt: skip
    """One video (Eq. 5-9). `image` and `audio` are (bank [M, D], times [M]), or None where missing.

    `store` rounds what a plain implementation in another precision would keep in it.
    """
    w = {name: store(np.asarray(value, np.float64)) for name, value in weights.items()}

    def layer(name, x):
        return store(x @ w[f"{name}.weight"].T + w[f"{name}.bias"])

    if "pair_image.0.weight" in w:
        image, audio = (
            joined("image", image, audio, layer, store),
            joined("audio", audio, image, layer, store),
        )
    visual_only = w["fusion.0.weight"].shape[1] == w["fusion.1.weight"].shape[0]
    absent = (np.zeros((1, w["fusion.1.weight"].shape[0])), np.zeros(1))
    moments = {"image": store(interpolate(*(image or absent), timestamps))}
    if not visual_only:
        moments["audio"] = store(interpolate(*(audio or absent), timestamps))
    activation = (lambda x: np.maximum(x, 0)) if key_activation == "relu" else (lambda x: x)
    keys = {m: activation(layer(f"key_{m}", z)) for m, z in moments.items()}

    def query(modality, h):
        q = layer(f"query_{modality}.0", h)
        return layer(f"query_{modality}.1", np.maximum(q, 0)) if f"query_{modality}.1.weight" in w else q

    z = {m: rows.mean(0) for m, rows in moments.items()}
    h = c = np.zeros(w["lstm.weight_hh"].shape[1])
    excluded = {m: set() for m in moments}
    features, scores, attention = [], [], {"image": [], "audio": []}
    for _ in range(steps):
        x = layer("fusion.1", np.maximum(layer("fusion.0", np.concatenate(list(z.values()))), 0))
        features.append(x)
        # Eq. 5.
        gates = x @ w["lstm.weight_ih"].T + h @ w["lstm.weight_hh"].T + w["lstm.bias"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = store(sigmoid(o) * np.tanh(c))
        both = image is not None and audio is not None and not visual_only
        s = softmax(layer("modality", h)) if both else np.array([image is not None, image is None], float)
        index = {}
        for m, k in keys.items():  # Eq. 6
            logits = k @ query(m, h) / np.sqrt(k.shape[1])
            if exclude_previous_argmax:
                if len(excluded[m]) == len(logits):
                    excluded[m].clear()
                logits[list(excluded[m])] = -np.inf
                # The lowest index among equals, which BLAS may leave a rounding error apart.
                excluded[m].add(int(np.argmax(logits > logits.max() - 1e-9)))
            index[m] = softmax(store(logits))
        # Eq. 7, within Eq. 8.
        z = {
            m: sum(s[int(n == "audio")] * (a @ rows) for n, a in index.items()) for m, rows in moments.items()
        }
        scores.append(s)
        for m, present in (("image", image), ("audio", None if visual_only else audio)):
            attention[m].append(np.zeros(len(timestamps)) if present is None else index[m])
    # Eq. 9, and what it would have been after fewer steps.
    step_logits = [layer("classifier", np.mean(features[:t], 0)) for t in range(1, steps + 1)]
    found = attention["image"], attention["audio"], scores, features, step_logits
    return Reference(step_logits[-1], *map(np.array, found))
