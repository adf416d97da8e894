"""One call: what it asks, which knots it decodes in which rounds, when it has seen enough, its answer."""

from l2l_engine.call.ask import Ask, AskOptions, PredictOptions
from l2l_engine.call.call import Call
from l2l_engine.call.explain import Explanation

__all__ = ["Ask", "AskOptions", "Call", "Explanation", "PredictOptions"]
