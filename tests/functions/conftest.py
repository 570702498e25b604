"""The functions' tests see what a function sees: its own folder on the path, as in its zip."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "include" / "lambdas" / "admit_events"))
