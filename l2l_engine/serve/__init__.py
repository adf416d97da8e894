"""A web service around Classifiers: upload a video or name one, get the answer or its page."""

from l2l_engine.serve.app import create_app
from l2l_engine.serve.server import serve
from l2l_engine.serve.settings import Settings

__all__ = ["Settings", "create_app", "serve"]
