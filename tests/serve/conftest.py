import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from serve_fixtures import browser, client, served, server_uri, spec, surroundings

__all__ = ["browser", "client", "served", "server_uri", "spec", "surroundings"]
