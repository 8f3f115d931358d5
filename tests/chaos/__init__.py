"""The fault campaign: a crowd on four processes, kills at random moments, then every promise looked at."""
