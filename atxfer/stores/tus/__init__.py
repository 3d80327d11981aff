"""tus 1.0.0, the protocol of resumable uploads by HTTP: a store on any server that speaks it."""

from atxfer.stores.tus.store import TusStore

__all__ = ["TusStore"]
