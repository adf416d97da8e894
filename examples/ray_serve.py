"""A deployment for Ray Serve: copies of a Classifier, each answering what the service answers.

Run:  L2L_PLAN=demo/demo.plan serve run --working-dir examples ray_serve:app
Try:  curl -F video=@demo/box-bouncing.mp4 http://127.0.0.1:8000/predict
"""

import os
from pathlib import Path

from ray import serve

from l2l_engine.serve import Settings, create_app

PROCESSORS = 2
"""Of each copy: Ray counts them, and a Classifier uses no more."""


def build() -> object:
    """The application, made anew in each copy: a plan's networks do not travel between processes."""
    os.environ.setdefault("OMP_NUM_THREADS", str(PROCESSORS))
    return create_app(Settings(plans={"engine": Path(os.environ.get("L2L_PLAN", "engine.plan"))}))


@serve.deployment(ray_actor_options={"num_cpus": PROCESSORS}, max_ongoing_requests=32)
@serve.ingress(build)
class Videos:
    """Everything is in the application."""


app = Videos.bind()
