import sys
from pathlib import Path

for folder in ("network", "landscape", "workflows/campaign"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
