from __future__ import annotations

from tests.api.conftest import classifier, plan_file

__all__ = ["classifier", "plan_file"]
