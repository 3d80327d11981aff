"""Verbs about the server itself: ``stats``, ``info``, ``config``, ``noop``, ``sync``."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Optional

from atxfer.atprotocol.verbs import Config, Info, Noop, Stats, SyncFrom
from atxfer.devserver.call import Call, Host
from atxfer.devserver.clock import timestamp
from atxfer.devserver.reading import compact
from atxfer.devserver.records import Commit, Record

VERSION = "3.0.52"  # of the real server whose answers these are

_SYNC_BYTES = 5 * 1024 * 1024  # a page of sync is cut here [s]
_SYNC_ENTRIES = 25

_Stat = Callable[[Host], Any]


def _notifications(server: Host) -> str:
    notices = server.notices.those(lambda notice: notice.kind != "received")
    counts = dict.fromkeys(("delivered", "failed", "queued"), 0)
    for notice in notices:
        counts["failed" if notice.status == "errored" else notice.status] += 1
    received = len(server.notices.received())
    total = len(notices) + received
    deleted = sum(notice.operation == "delete" for notice in notices)
    return compact(
        {
            "total": total,
            "type": {"sent": len(notices), "received": received},
            "status": counts,
            "operations": {"update": total - deleted, "delete": deleted},
            "messageType": {"key": total, "text": 0},
            "createdOn": server.world.clock.now_ms(),
        }
    )


def _disk_size(server: Host) -> str:
    size = server.keys.records.stored_bytes
    return compact({"size": f"{size / 1024:.2f}", "units": "KB"})


def _latest_commits(server: Host) -> str:
    commits = server.keys.records.commits()
    return compact({commit.key: [commit.id, commit.operation] for commit in commits})


# In the order of their ids, which begin at 1 (transcript).
_STATS: tuple[tuple[str, _Stat], ...] = (
    ("activeInboundConnections", lambda server: str(len(server.sessions))),
    ("activeOutboundConnections", lambda server: "0"),
    ("lastCommitID", lambda server: str(server.keys.records.last_commit)),
    ("secondaryStorageSize", lambda server: server.keys.records.stored_bytes),
    ("topAtSigns", lambda server: "{}"),
    ("topKeys", lambda server: "{}"),
    ("secondaryServerVersion", lambda server: VERSION),
    ("LastLoggedInDatetime", lambda server: timestamp(server.world.clock.now_ms())),
    ("diskSize", _disk_size),
    ("LastPkam", lambda server: "Not Available"),
    ("NotificationCount", _notifications),
    ("CommitLogCompactionStats", lambda server: "{}"),
    ("AccessLogCompactionStats", lambda server: "{}"),
    ("NotificationCompactionStats", lambda server: "{}"),
    ("LatestCommitEntryOfEachKey", _latest_commits),
)


def stats(call: Call, verb: Stats) -> str:
    """Give the server's own counters."""
    ids = verb.ids or range(1, len(_STATS) + 1)
    return ", ".join(_stat(call.server, id_) for id_ in ids if id_ <= len(_STATS)).join("[]")


def _stat(server: Host, id_: int) -> str:
    name, value = _STATS[id_ - 1]
    return compact({"id": str(id_), "name": name, "value": value(server)})


def info(call: Call, verb: Info) -> str:
    """Give version and uptime."""
    uptime_ms = call.server.uptime_ms
    if verb.brief:
        return compact({"version": VERSION, "uptimeAsMillis": uptime_ms})
    return compact({"version": VERSION, "uptimeAsWords": _in_words(uptime_ms // 1000)})


def _in_words(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    words = ""
    for count, unit in ((days, "days"), (hours, "hours"), (minutes, "minutes")):
        if count or words:
            words += f"{count} {unit} "
    return f"{words}{seconds} seconds"


def config(call: Call, verb: Config) -> Optional[str]:
    """Show or change whom the owner blocks; other settings are for the server's own tests."""
    server = call.server
    if verb.operation == "block:show":
        return compact(sorted(server.blocked)) if server.blocked else None
    if verb.operation == "block:add":
        server.block(server.blocked | set(verb.atsigns) - {server.atsign})
    elif verb.operation == "block:remove":
        server.block(server.blocked - set(verb.atsigns))
    else:
        return "testing mode disabled by default"
    return "success"


async def noop(call: Call, verb: Noop) -> str:
    """Do nothing for a while."""
    await call.server.world.clock.sleep(verb.delay_ms / 1000)
    return "ok"


def sync_from(call: Call, verb: SyncFrom) -> str:
    """List what changed after a commit; the limit named is not looked at (transcript)."""
    keys = call.server.keys
    pattern = re.compile(verb.regex or "")
    page: list[dict[str, Any]] = []
    size = 0
    for commit in keys.records.commits():
        if commit.id <= verb.start or not pattern.search(commit.key):
            continue
        entry = _change(commit, keys.find(commit.key))
        if entry is None:
            continue
        size += len(compact(entry))
        if page and (size > _SYNC_BYTES or len(page) >= _SYNC_ENTRIES):
            break
        page.append(entry)
    return compact(page)


def _change(commit: Commit, record: Optional[Record]) -> Optional[dict[str, Any]]:
    """Return one change as devices see it; None where a record was swept away."""
    deleted = commit.operation == "-"
    if record is None and not deleted:
        return None
    shown = None if deleted else record
    return {
        "atKey": commit.key,
        "value": shown.value if shown else None,
        "metadata": _as_texts(shown.metadata_json()) if shown else None,
        "commitId": commit.id,
        "operation": commit.operation,
    }


def _as_texts(values: dict[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
