"""Decisions as pure functions and values: no thread, no clock, no socket, no configuration."""
