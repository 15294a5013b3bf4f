"""What is fast and what is small, measured against the plain way, in one run."""
