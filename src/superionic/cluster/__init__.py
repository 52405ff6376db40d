"""Campaigns on a cluster: FireWorks' launchpad, workers, and what it takes to survive failures."""
