"""The report of an analysis, and everything else that it writes."""
