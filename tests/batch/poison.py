"""A Classifier that comes to harm by the names of files: what a decoder might do to its process."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np

from l2l_engine import Classifier, Prediction


class Poisoned:
    """Made in the process that works; its plan is in the environment, as that is all it gets."""

    def __init__(self) -> None:
        self._classifier = Classifier(os.environ["L2L_TEST_PLAN"], threads=1)

    def predict(self, path: Any, **options: Any) -> Prediction:
        name = Path(path).name
        if name.startswith("segfault"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if name.startswith("abort"):
            os.abort()
        if name.startswith("exit"):
            os._exit(3)
        if name.startswith("hang"):
            threading.Event().wait()
        if name.startswith("eat"):
            eaten = []
            while True:
                eaten.append(np.empty(2**29, np.uint8))  # never touched: what counts is that it was given
        return self._classifier.predict(path, **options)
