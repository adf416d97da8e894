"""Many files anywhere: rows of one schema, by whatever engine spreads the work; free of any itself."""

from l2l_engine.batch.isolation import Isolated
from l2l_engine.batch.rows import Rows
from l2l_engine.batch.schema import ERROR_KINDS, SCHEMA_VERSION, schema

__all__ = ["ERROR_KINDS", "SCHEMA_VERSION", "Isolated", "Rows", "schema"]
