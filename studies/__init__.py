"""Studies that methods were chosen by; docs/force_network.md and docs/tables.md have them."""
