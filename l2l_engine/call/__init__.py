"""Which knots a call decodes, in which order, and when it has seen enough."""

from l2l_engine.call.ask import ask
from l2l_engine.call.call import Call
from l2l_engine.call.explain import Explanation

__all__ = ["Call", "Explanation", "ask"]
