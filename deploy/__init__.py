"""Packing, deploying and running the guard: `python -m deploy COMMAND`, or the targets of the Makefile."""
