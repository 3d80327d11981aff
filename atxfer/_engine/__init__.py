"""Threads, permits, retries and files. Knows a store only by ``stores/base.py``."""
