"""Random faults: whatever happens, files are whole, the cap holds, and nothing leaks."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer.errors import TransferError
from tests.engine.world import FILE_ID, world
from tests.support.clock import FakeClock

PASSING = ["ok", "503", "429", "500", "drop", "dropped", "timeout", "part", "retry:2"]
FINAL = ["refused", "400"]


def scripts(words: list[str], most: int) -> st.SearchStrategy[str]:
    """Return scripts of faults in any order."""
    return st.lists(st.sampled_from(words), max_size=most).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(scripts(PASSING, 19), st.integers(1, 5), st.integers(0, 600), st.integers(1, 7))
def test_what_may_pass_is_survived(script: str, cap: int, size: int, chunk_size: int) -> None:
    """With one attempt more than there are faults every file arrives, up and down."""
    data = bytes(n * 7 % 256 for n in range(size))
    patience = {"max_attempts": 20, "retry_burst": 1000}
    with world(script, cap=cap, chunk_size=chunk_size, clock=FakeClock(), **patience) as w:
        w.upload(data)
        assert w.content() == data
        stream = io.BytesIO()
        w.download(data, stream)
        assert stream.getvalue() == data
        assert w.store.peak <= cap
        assert w.store.in_flight == 0


@settings(max_examples=60, deadline=None)
@given(scripts([*PASSING, *FINAL, "interrupt"], 60), st.integers(1, 5), st.integers(0, 60))
def test_no_permit_leaks_whatever_ends_an_upload(script: str, cap: int, chunks: int) -> None:
    """Failures, refusals and Ctrl-C, wherever they strike; the next upload succeeds."""
    data = bytes(chunks * 10)
    with world(script, cap=cap, clock=FakeClock(), retry_burst=1000) as w:
        try:
            w.upload(data)
        except TransferError as error:
            missing = error.chunks_missing or ()
            stored = {index for file_id, index in w.store.chunks if file_id == FILE_ID}
            assert stored | set(missing) == set(range(chunks))
        except KeyboardInterrupt:
            pass
        assert (w.destination.permits.in_flight, w.store.in_flight) == (0, 0)
        assert w.store.peak <= cap
        w.store.say("")
        w.upload(data)
        assert w.content() == data


def test_many_files_with_many_faults() -> None:
    """200 files under one cap, one request in eight failing (scenario 1)."""
    words = "ok ok ok 503 ok ok ok drop ok ok ok ok ok ok part ok ok ok dropped ok "
    script = words * 200
    patient = {"retry_burst": 1000, "max_attempts": 20}  # no request is unlucky twenty times
    with world(script, cap=5, clock=FakeClock(), **patient) as w:
        handles = [w.submit(bytes(size % 400), name=str(size)) for size in range(0, 4000, 20)]
        for handle in handles:
            handle.result()
        assert w.store.peak <= 5
        assert w.engine.metrics()["files"]["uploaded"] == 200
