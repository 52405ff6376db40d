import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "campaign"))

from campaign_fixtures import data_dir, database, run, server_uri, start, surroundings

__all__ = ["data_dir", "database", "run", "server_uri", "start", "surroundings"]
