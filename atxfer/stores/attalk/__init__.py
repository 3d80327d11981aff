"""Chunks in the format of the AtTalk application: encrypted records (docs/attalk.md)."""
