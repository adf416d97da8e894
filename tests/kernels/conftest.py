import sys
from pathlib import Path

# The reference and the cases are plain modules beside the tests, and benchmarks use them too.
sys.path.append(str(Path(__file__).parent))
