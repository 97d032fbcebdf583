"""Replaying transcripts: the real turn, router and payments on real Postgres; only M-Pesa and the clock are scripted."""
