"""When the answer is sure enough: the calibrated confidence after every step of one run of the skimmer."""

from __future__ import annotations

import dataclasses

import numpy as np

from l2l_engine.call.answer import class_probabilities
from l2l_engine.plan import Plan, PlanDocument
from l2l_engine.result import FloatArray
from l2l_engine.skim import SkimResult


def confidence(result: SkimResult, document: PlanDocument) -> float:
    """The calibrated probability of the most probable class, for a batch of one."""
    steps = result.step_features.shape[1]
    return float(class_probabilities(result.logits[0], document, steps).max())


def sure_after(result: SkimResult, plan: Plan, enough: float) -> SkimResult | None:
    """The shortest beginning of a run whose answer is sure enough; None if there is none.

    Every number of steps has its own temperature in the plan, so that 0.9 means the same after any.

    Args:
        result: A run of T steps for a batch of one.
        plan: The plan it was made with.
        enough: Confidence.

    Returns:
        What a run of fewer steps would have given, within rounding.
    """
    for steps, logits in enumerate(_by_step(result, plan), start=1):
        beginning = dataclasses.replace(
            result,
            logits=logits[None],
            image_attention=result.image_attention[:, :steps],
            audio_attention=result.audio_attention[:, :steps],
            modality_scores=result.modality_scores[:, :steps],
            step_features=result.step_features[:, :steps],
        )
        if confidence(beginning, plan.document) >= enough:
            return beginning
    return None


def _by_step(result: SkimResult, plan: Plan) -> FloatArray:
    """Logits [T, C]: row t - 1 is the classifier on the mean of the first t step features."""
    features = result.step_features[0]
    if len(features) == 1:
        return result.logits
    weight, bias = (plan.skim[f"classifier.{name}"].astype(np.float32) for name in ("weight", "bias"))
    means = np.cumsum(features, axis=0) / np.arange(1, len(features) + 1, dtype=np.float32)[:, None]
    logits: FloatArray = means @ weight.T + bias
    logits[-1] = result.logits[0]  # the very bits of the whole run
    return logits
