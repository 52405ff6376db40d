from campaign_fixtures import data_dir, database, run, server_uri, start, surroundings

__all__ = ["data_dir", "database", "run", "server_uri", "start", "surroundings"]
