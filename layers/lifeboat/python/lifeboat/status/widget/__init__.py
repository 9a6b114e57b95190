"""The page of the dashboard: HTML of the same answers that the command line shows."""
