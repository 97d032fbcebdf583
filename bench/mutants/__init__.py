"""Every single edit of the shop that could charge somebody: which the checker refuses, and which the run-time stops."""
