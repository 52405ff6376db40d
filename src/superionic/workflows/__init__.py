"""What is computed: jobs, Makers of flows, campaigns over many crystals, and keys of work."""
