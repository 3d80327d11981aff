"""Files in Amazon S3, and in servers that speak as it does."""

from atxfer.stores.s3.store import S3Store

__all__ = ["S3Store"]
