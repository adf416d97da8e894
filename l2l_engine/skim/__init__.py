"""The skimmer (Eq. 5-9) as the engine and its users see it, and what stands in its place."""

from l2l_engine.skim.averaging import Averager
from l2l_engine.skim.evidence import EvidencePooler
from l2l_engine.skim.inputs import KeyActivation, Modality, Precision
from l2l_engine.skim.moments import MomentHead
from l2l_engine.skim.skimmer import Instructions, Skimmer, SkimmingModel, SkimResult

__all__ = [
    "Averager",
    "EvidencePooler",
    "Instructions",
    "KeyActivation",
    "Modality",
    "MomentHead",
    "Precision",
    "SkimResult",
    "Skimmer",
    "SkimmingModel",
]
