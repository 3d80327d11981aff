"""What uploads to an atServer have left, and ``clean`` removes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atxfer import Client, unfinished_uploads
from atxfer.devserver import DevServer, FaultPlan
from atxfer.errors import CleaningFailed, ServerFault
from tests.scenarios.test_resume import killed
from tests.support.until import until
from tests.support.worlds import client_of, content

SIZE = 500_000
DAY = 86_400.0
WEEK = 7 * DAY


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each test's journals apart."""
    monkeypatch.setenv("ATXFER_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def alice(atserver: DevServer) -> Iterator[Client]:
    """Return a client that never tries again, so that one fault ends an upload."""
    with client_of(atserver, max_attempts=1, ttl=WEEK) as client:
        yield client


def left(world: DevServer, client: Client, source: Any = None, *, days: float = 0.0) -> str:
    """Upload about half of a file, so many days ago by the server's clock; return its id."""
    world.faults = FaultPlan.script("ok ok " + "AT0011 " * 8, verbs={"batch"})
    world.faults.clock_skew = -days * DAY
    with pytest.raises(ServerFault) as caught:
        client.upload(content(SIZE) if source is None else source, name="left.bin")
    world.faults = FaultPlan()
    assert caught.value.file_id is not None
    return caught.value.file_id


def keys_of(world: DevServer, file_id: str) -> list[str]:
    """Return what lies on the server of a file."""
    keys = world.server("@alice").keys()
    return [key for key in keys if file_id in key]


def test_the_old_go_and_all_else_stays(atserver: DevServer, alice: Client) -> None:
    """A dry run says the same, and removes nothing."""
    atserver.faults.clock_skew = -2 * DAY
    whole = alice.upload(content(SIZE), name="whole.bin")
    old, young = left(atserver, alice, days=2), left(atserver, alice)
    before = atserver.server("@alice").keys()
    (told,) = alice.clean(dry_run=True)
    assert (told.file_id, told.name, told.size) == (old, "left.bin", SIZE)
    assert 0 < told.stored < SIZE
    assert 2 * DAY - 60 < alice.file(young).created_at - told.stopped_at < 2 * DAY + 60
    assert atserver.server("@alice").keys() == before
    assert alice.clean() == [told]
    assert keys_of(atserver, old) == []
    assert {file.file_id for file in alice.files(incomplete=True)} == {whole.file_id, young}
    assert len(keys_of(atserver, young)) > 1
    stream = io.BytesIO()
    alice.download(whole, stream)
    assert stream.getvalue() == content(SIZE)
    assert alice.clean() == []


def test_what_is_old_is_said_by_the_caller(atserver: DevServer, alice: Client) -> None:
    """By a number of seconds; 0 is all."""
    file_id = left(atserver, alice)
    for seconds in (math.inf, 60):
        assert alice.clean(seconds) == []
    assert [upload.file_id for upload in alice.clean(0)] == [file_id]


def test_a_clock_that_is_ahead_hides_nothing_from_zero(atserver: DevServer, alice: Client) -> None:
    """All are all, also those that the server says will stop tomorrow."""
    file_id = left(atserver, alice, days=-1)
    assert [upload.file_id for upload in alice.clean(0)] == [file_id]


@pytest.mark.parametrize("seconds", [-1, math.nan])
def test_no_age_is_negative(alice: Client, seconds: float) -> None:
    """It is refused before anything is asked."""
    with pytest.raises(ValueError, match="older_than"):
        alice.clean(seconds)


def test_an_upload_that_was_killed_is_removed_and_begins_anew(
    atserver: DevServer, alice: Client, tmp_path: Path
) -> None:
    """Its journal stays: the file is still to be uploaded, by the same call."""
    source = tmp_path / "report.pdf"
    source.write_bytes(content(2_000_000))
    killed(atserver, source, 8)
    (upload,) = alice.clean(0)
    assert upload.stored > 0
    assert keys_of(atserver, upload.file_id) == []
    assert [unfinished.file_id for unfinished in unfinished_uploads()] == [upload.file_id]
    receipt = alice.upload(source)
    assert receipt.file_id != upload.file_id
    assert receipt.statistics.resumed_bytes == 0
    alice.download(receipt, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert unfinished_uploads() == []


def test_what_this_machine_is_at_is_left_alone(
    atserver: DevServer, alice: Client, tmp_path: Path
) -> None:
    """However old it is."""
    source = tmp_path / "report.pdf"
    source.write_bytes(content(SIZE))
    atserver.faults = FaultPlan.script("ok hang hang hang", verbs={"batch"})
    transfer = alice.submit_upload(source)
    # All four requests have come, and three of them are never answered.
    until(lambda: atserver.counters.snapshot()["@alice"]["batched"].get("update") == 16)
    (unfinished,) = unfinished_uploads()
    with client_of(atserver) as other:
        assert other.clean(0) == []
        transfer.cancel()
        until(transfer.done)
        assert [upload.file_id for upload in other.clean(0)] == [unfinished.file_id]


class Lasting(io.BytesIO):
    """A file whose second half is read two days after its first."""

    world: DevServer

    def read(self, size: Any = -1, /) -> bytes:
        """Read, and let the time pass."""
        if self.tell() > SIZE // 4:
            self.world.faults.clock_skew = 0.0
        return super().read(size)


def test_an_upload_of_another_machine_that_lasts_is_left_alone(
    atserver: DevServer, alice: Client
) -> None:
    """What was stored last counts, and not when it was begun."""
    source = Lasting(content(SIZE))
    source.world = atserver
    file_id = left(atserver, alice, source, days=2)
    assert alice.clean() == []
    assert alice.file(file_id).state == "uploading"
    atserver.faults.clock_skew = 0.0
    assert [upload.file_id for upload in alice.clean(0)] == [file_id]


def test_one_that_fails_disturbs_no_other(atserver: DevServer, alice: Client) -> None:
    """The error has what is gone and what is not; the next call removes the rest."""
    both = {left(atserver, alice, days=2) for _ in range(2)}
    # Two requests for what is there of each follow that for the manifests.
    atserver.faults = FaultPlan.script("ok ok ok AT0011", verbs={"batch"})
    with pytest.raises(CleaningFailed, match="could not be removed") as caught:
        alice.clean()
    (gone,), ((there, cause),) = caught.value.removed, caught.value.failures
    assert {gone.file_id, there.file_id} == both
    assert isinstance(cause, ServerFault)
    assert (caught.value.exit_code, caught.value.file_id) == (cause.exit_code, there.file_id)
    assert keys_of(atserver, gone.file_id) == []
    assert [upload.file_id for upload in alice.clean()] == [there.file_id]
    assert keys_of(atserver, there.file_id) == []


def test_never_more_requests_than_the_cap(atserver: DevServer) -> None:
    """The server sees what any other call shows it."""
    with client_of(atserver, max_attempts=1, ttl=WEEK, max_concurrent_uploads=2) as client:
        for _ in range(5):
            left(atserver, client, days=2)
        assert len(client.clean()) == 5
        assert client.metrics()["peak_in_flight"] <= 2
