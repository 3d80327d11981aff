"""One atServer as a test sees it from another thread: look into its records, and hurt it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Callable, Optional, TypeVar

from atxfer.devserver.atserver import AtServer
from atxfer.devserver.loop import LoopThread
from atxfer.devserver.records import Record
from atxfer.devserver.world import World

T = TypeVar("T")


class ServerView:
    """The inside of one running atServer.

    Keys are whole keys, such as ``public:_0.x.atxfer@alice``; none has to exist in a scan.

    Threads: for any thread but the event loop's own.

    Args:
        server: The server.
        world: Where it lives.
        thread: The event loop it lives on.
    """

    def __init__(self, server: AtServer, world: World, thread: LoopThread) -> None:
        self._server = server
        self._world = world
        self._thread = thread
        self.atsign = server.atsign

    def _call(self, work: Callable[[], T]) -> T:
        return self._thread.call(work)

    def _change(self, key: str, changed: Callable[[Record], Record]) -> None:
        def change() -> None:
            records = self._server.keys.records
            record = records.find(key)
            if record is None:
                raise KeyError(key)
            records.put(key, changed(record))

        self._call(change)

    # --- records

    def keys(self) -> list[str]:
        """Return the keys of all records that are born and not expired, sorted."""
        return self._call(self._server.keys.active_keys)

    def __contains__(self, key: object) -> bool:
        """Whether a record is there, born and not expired."""
        return key in self.keys()

    def values(self) -> list[Optional[str]]:
        """Return the values of :meth:`keys`, in their order."""
        return [self.value(key) for key in self.keys()]

    def value(self, key: str) -> Optional[str]:
        """Return the value of a record, expired or not.

        Raises:
            KeyError: There is none.
        """
        return self._record(key).value

    def metadata(self, key: str) -> dict[str, Any]:
        """Return the metadata of a record as the server answers it.

        Raises:
            KeyError: There is none.
        """
        return self._record(key).metadata_json()

    def _record(self, key: str) -> Record:
        record = self._call(lambda: self._server.keys.find(key))
        if record is None:
            raise KeyError(key)
        return record

    def alter(self, key: str, value: str) -> None:
        """Change a stored value behind everybody's back."""
        self._change(key, lambda record: replace(record, value=value))

    def remove(self, key: str) -> None:
        """Remove a record behind everybody's back; KeyError if it isn't there."""
        if not self._call(lambda: self._server.keys.records.remove(key)):
            raise KeyError(key)

    def expire(self, key: str) -> None:
        """Let a record's time to live be over."""
        self._change(
            key, lambda record: replace(record, history=replace(record.history, expires_ms=0))
        )

    def sweep(self) -> int:
        """Remove what has expired, as the server does every ten minutes; return how many."""
        return self._call(self._server.keys.sweep)

    def notices(self) -> list[dict[str, Any]]:
        """Return the notifications received, oldest first, as ``notify:list`` has them."""
        received = self._call(self._server.notices.received)
        return [json.loads(json.dumps(notice.as_stored())) for notice in received]

    def tell_statistics(self) -> None:
        """Tell monitors of the server itself now, as it does every 15 seconds."""
        self._call(self._server.tell_statistics)

    # --- its life

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self._server.port

    def stop(self) -> None:
        """Stop it as a crash does: connections are cut, records stay."""
        self._call(self._server.stop)

    def start(self) -> None:
        """Start it again at the same port."""
        self._thread.run(self._world.restart(self.atsign))

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it answer AT0024, as a server does that is about to restart."""
        self._pause(paused=True)

    def resume(self) -> None:
        """Let it serve again."""
        self._pause(paused=False)

    def _pause(self, *, paused: bool) -> None:
        def change() -> None:
            self._server.paused = paused

        self._call(change)
