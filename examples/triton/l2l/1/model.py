"""A model of Triton's Python backend. NOT RUN YET: see README.md two folders up."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # Triton's own, there when Triton runs this

from l2l_engine import Classifier, L2LError
from l2l_engine.serve.tensors import segments


class TritonPythonModel:
    """One Classifier, used by all requests of this instance."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the plan that lies beside this file."""
        parameters = json.loads(args["model_config"]).get("parameters", {})
        device = parameters.get("device", {}).get("string_value", "auto")
        self.classifier = Classifier(Path(__file__).with_name("engine.plan"), device=device)
        self.classifier.warmup()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request; a bad video is that request's error alone."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        video = pb_utils.get_input_tensor_by_name(request, "video").as_numpy().reshape(-1)[0]
        try:
            prediction = self.classifier.predict(bytes(video))
        except L2LError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        values = {
            "label": np.array([prediction.label.encode()], np.object_),
            "probabilities": prediction.probabilities,
            "segments": np.array([json.dumps(segments(prediction)).encode()], np.object_),
        }
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in values.items()])

    def finalize(self) -> None:
        """Let go of the networks."""
        self.classifier.close()
