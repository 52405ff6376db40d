"""One self-contained HTML file that reports on a campaign."""
