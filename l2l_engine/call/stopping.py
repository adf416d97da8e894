"""When the answer is sure enough: the calibrated confidence after every step of one run of the skimmer."""

from __future__ import annotations

from l2l_engine.call.answer import class_probabilities
from l2l_engine.plan import PlanDocument
from l2l_engine.skim import SkimResult


def confidence(result: SkimResult, document: PlanDocument) -> float:
    """Give the calibrated probability of the most probable class but background, for a batch of one."""
    steps = result.step_features.shape[1]
    return float(class_probabilities(result.logits[0], document, steps)[document.foreground].max())


def sure_after(result: SkimResult, document: PlanDocument, enough: float) -> SkimResult | None:
    """Give the shortest beginning of a run whose answer is sure enough; None if there is none.

    Every number of steps has its own temperature in the plan, so that 0.9 means the same after any.

    Args:
        result: A run of T steps for a batch of one.
        document: The document of the plan that it was made with.
        enough: The confidence that is sure enough.
    """
    for steps in range(1, result.step_features.shape[1] + 1):
        beginning = _beginning(result, steps)
        if confidence(beginning, document) >= enough:
            return beginning
    return None


def _beginning(result: SkimResult, steps: int) -> SkimResult:
    """Cut a run to its first steps: to what a run of so many steps gives."""
    return SkimResult(
        logits=result.step_logits[:, steps - 1],
        image_attention=result.image_attention[:, :steps],
        audio_attention=result.audio_attention[:, :steps],
        modality_scores=result.modality_scores[:, :steps],
        step_features=result.step_features[:, :steps],
        step_logits=result.step_logits[:, :steps],
    )
