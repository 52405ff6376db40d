"""The force network compared with others and with controls."""
