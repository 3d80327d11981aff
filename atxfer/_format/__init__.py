"""The native format: sealed chunks and signed manifests (docs/format.md)."""
