"""The methods of Table 1, all on the same features: baselines, and the skimmer beside them."""

from training.baselines.averages import ClipAverage, ScSampler, clip_averages
from training.baselines.method import Encoded, Method, network_macs
from training.baselines.networks import SequenceNetwork, SingleQuery, Trained
from training.baselines.skimmed import Skimming

__all__ = [
    "ClipAverage",
    "Encoded",
    "Method",
    "ScSampler",
    "SequenceNetwork",
    "SingleQuery",
    "Skimming",
    "Trained",
    "clip_averages",
    "network_macs",
]
