"""The whole stack on a laptop: local AWS and Airflow as plain processes, and the demonstration.

``python -m laptop --help`` lists the commands; ``make help`` says the same in fewer words. The tests start
their stacks with this same code.
"""

import sys
from pathlib import Path

# Where Airflow finds the library too.
sys.path.append(str(Path(__file__).resolve().parents[1] / "plugins"))
