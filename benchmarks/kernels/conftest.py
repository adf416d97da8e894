import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # for the peers
# The benchmarks draw their inputs as the kernel tests do.
sys.path.append(str(Path(__file__).parents[2] / "tests" / "kernels"))
