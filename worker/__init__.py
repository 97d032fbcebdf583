"""RQ jobs: when and how often things run. No rules live here."""
