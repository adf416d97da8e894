"""The kinds of numbers that settings are: what is out of range is refused with the setting's name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=1, le=2048)]
"""Pixels of a square."""
Share = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(gt=0, le=1)]
"""A share that is never nothing."""
Positive = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]
