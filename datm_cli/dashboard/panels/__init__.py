"""The regions of the dashboard, one a file."""
