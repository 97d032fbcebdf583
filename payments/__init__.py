"""Daraja in, Daraja out: prompts, callbacks, queries, secrets at the moment of use. It decides nothing about orders."""
