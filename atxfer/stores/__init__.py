"""Stores: where chunks lie. Each module knows one protocol, and none knows a thread."""
