import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from serve_fixtures import client, served, server_uri, spec, surroundings

__all__ = ["client", "served", "server_uri", "spec", "surroundings"]
