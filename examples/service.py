"""The service inside a program of your own: ``l2l serve`` is the same without one.

Run:  L2L_PLAN=demo/demo.plan uvicorn --app-dir examples service:app
Try:  curl -F video=@demo/box-bouncing.mp4 http://127.0.0.1:8000/l2l/predict
"""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from l2l_engine.serve import Settings, create_app

service = create_app(Settings(plans={"demo": Path(os.environ.get("L2L_PLAN", "engine.plan"))}, workers=1))


async def home(request: object) -> PlainTextResponse:
    """Your own pages stand beside it."""
    return PlainTextResponse("ours")


app = Starlette(
    routes=[Route("/", home), Mount("/l2l", service)],
    # A mounted application's plans are loaded by the one around it.
    lifespan=lambda _: service.router.lifespan_context(service),
)
