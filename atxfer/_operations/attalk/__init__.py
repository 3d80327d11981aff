"""Files in the format of the AtTalk application: up, down, and away (docs/attalk.md)."""
