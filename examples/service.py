"""A classification service: POST a video as form field "video", get the prediction as JSON.

Run:  L2L_PLAN=demo/demo.plan uvicorn --app-dir examples service:app
Try:  curl -F video=@demo/box-bouncing.mp4 http://127.0.0.1:8000/predict
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from l2l_engine import Classifier, Limits, MediaError, PredictionTimeoutError


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """One Classifier for the life of the service, shared by all requests."""
    # No names of strangers' choice are opened: files alone that were uploaded.
    with Classifier(os.environ.get("L2L_PLAN", "engine.plan"), limits=Limits(protocols=())) as classifier:
        classifier.warmup()
        app.state.predict = classifier.predict
        yield


async def predict(request: Request) -> JSONResponse:
    """Upload in, JSON out; a bad file is the client's error and costs nobody else anything."""
    async with request.form(max_files=1) as form:
        video = form.get("video")
        if not isinstance(video, UploadFile):
            return JSONResponse({"error": "send a file in the form field 'video'"}, 400)
        try:
            answer = await run_in_threadpool(request.app.state.predict, video.file, timeout_s=60)
        except MediaError as error:
            return JSONResponse({"error": str(error)}, 422)
        except PredictionTimeoutError as error:
            return JSONResponse({"error": str(error)}, 503)
    return JSONResponse(answer.to_dict() | {"path": video.filename})


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])], lifespan=lifespan)
