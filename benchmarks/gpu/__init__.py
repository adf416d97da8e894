"""The GPU side built, checked and timed on a GPU: `python -m benchmarks.gpu`. Not yet run on one."""
