"""Our uploads and downloads by tus servers that others wrote, whole and broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
import requests

from atxfer.errors import FileNotFound, FileTooLarge, NotFound
from atxfer.model import Progress
from atxfer.waiting import Wait
from tests.fix_servers import ServerFactory
from tests.servers.tus import Tusd, TusNode, TusServer
from tests.support.delayproxy import DOWN, UP, DelayProxy
from tests.support.tusbench import CHUNK, TusBench, opened, put, tus_bench
from tests.support.worlds import content

pytestmark = pytest.mark.interop

MakeProxy = Callable[..., DelayProxy]


def of(chunks: float) -> bytes:
    """Return the content of a file of so many chunks."""
    return content(int(chunks * CHUNK))


def fetched(address: str) -> bytes:
    """Read a file as any other program does."""
    response = requests.get(address, timeout=30)
    response.raise_for_status()
    return response.content


# --- every size, there and back

SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK - 1, 3 * CHUNK, 7 * CHUNK + 1]


@pytest.mark.parametrize("size", SIZES)
def test_a_plain_file_is_there_byte_for_byte(tus: TusServer, size: int) -> None:
    """For every program that can fetch it; then for us, by name and content; then for nobody."""
    data = content(size)
    # @tus/server answers 500 to who asks for a file whose name is beyond Latin-1.
    name = "naïve, 🙂.txt" if isinstance(tus, Tusd) else "naïve, name.txt"
    with tus_bench(tus.url) as bench:
        receipt = bench.upload(data, name)
        assert (receipt.size, receipt.statistics.retries) == (size, {})
        assert size == 0 or fetched(receipt.file_id) == data
        assert bench.download(receipt.file_id) == data
        info = bench.store.stat(receipt.file_id, Wait())
        assert (info.name, info.size) == (name, size)
        bench.delete(receipt.file_id)
        with pytest.raises(NotFound):
            bench.store.stat(receipt.file_id, Wait())


@pytest.mark.parametrize("size", SIZES)
def test_a_sealed_file_comes_back_by_its_link(tus: TusServer, size: int) -> None:
    """And says nothing to the server."""
    data = content(size)
    with tus_bench(tus.url, encrypt=True) as bench:
        receipt = bench.upload(data, "secret.txt")
        assert bench.download(receipt.link or "") == data
        assert bench.store.stat(receipt.file_id, Wait()).name == ""


def test_a_name_of_300_bytes_is_kept(tus: TusServer) -> None:
    """And one with a line break, which a header could not hold as it is (scenario 20)."""
    with tus_bench(tus.url) as bench:
        for name in ("n" * 300, "line\nbreak", "../up"):
            address = bench.upload(b"abc", name).file_id
            assert bench.store.stat(address, Wait()).name == name.rpartition("/")[2]


def test_what_a_server_says_it_can_do_is_known(tus: TusServer) -> None:
    """The same as the fixture says."""
    with tus_bench(tus.url) as bench:
        bench.store.learn(Wait())
        assert bench.store.capabilities.parallel == ("concatenation" in tus.extensions)


def test_the_largest_size_is_known_at_the_door(reference_server: ServerFactory) -> None:
    """Nothing is sent that would be refused."""
    for kind in (Tusd, TusNode):
        server = reference_server(kind, max_size=1000)
        with tus_bench(server.url) as bench:
            bench.upload(bytes(1000))
            with pytest.raises(FileTooLarge, match="1,000 bytes at most"):
                bench.upload(bytes(1001))


# --- what the server feels


@pytest.mark.parametrize(("chunks", "requests_"), [(0.5, 1), (1, 1), (2, 6), (8, 18)])
def test_parts_go_side_by_side_over_as_many_connections_as_may_be(
    tusd: Tusd, delay_proxy: MakeProxy, chunks: float, requests_: int
) -> None:
    """A request a chunk, two to make a file of them, and one a part to remove it; none twice."""
    proxy = delay_proxy(tusd)
    with tus_bench(proxy.through(tusd.url), cap=3) as bench:
        bench.store.learn(Wait())
        proxy.forget()
        address = bench.upload(of(chunks)).file_id
    counts = proxy.counts
    assert counts.requests == requests_
    assert counts.peak_in_flight <= 3
    assert counts.peak_open <= 3
    assert fetched(address) == of(chunks)


def test_one_upload_goes_over_one_connection(tus_node: TusNode, delay_proxy: MakeProxy) -> None:
    """It is kept from the first question to the last chunk; and so is that of the download.

    Those that were made beside the first question wait for parts, which there are none of.
    """
    proxy = delay_proxy(tus_node)
    with tus_bench(proxy.through(tus_node.url), cap=3) as bench:
        address = bench.upload(of(5.5)).file_id
        assert bench.download(address) == of(5.5)
        counts = proxy.counts
    # OPTIONS, POST, five PATCHes; HEAD, GET: all the file comes in one answer.
    assert (counts.requests, counts.peak_in_flight) == (9, 1)
    assert counts.connections <= 3


@pytest.mark.parametrize("cap", [1, 2, 5])
def test_never_more_in_flight_than_the_cap(tusd: Tusd, delay_proxy: MakeProxy, cap: int) -> None:
    """Over all files together, seen from the server's side (B8)."""
    proxy = delay_proxy(tusd, 0.01)
    with tus_bench(proxy.through(tusd.url), cap=cap) as bench:
        transfers = [
            bench.engine.submit(lambda transfer: _send(bench, transfer), f"file {i}")
            for i in range(6)
        ]
        addresses = [transfer.result().file_id for transfer in transfers]
        assert all(bench.download(address) == of(4) for address in addresses)
        counts = proxy.counts
    assert counts.peak_in_flight <= cap
    assert counts.connections <= cap


def _send(bench: TusBench, transfer: Any) -> Any:
    from atxfer._operations.orders import Order

    return bench.objects.upload(Order(of(4), "a.bin", None, None), transfer)


# --- what breaks on the way


@pytest.mark.parametrize("direction", [UP, DOWN], ids=str)
@pytest.mark.parametrize("after", [0, 1, CHUNK // 2, 3 * CHUNK // 2, 5 * CHUNK])
@pytest.mark.parametrize("encrypt", [False, True])
def test_a_connection_that_is_cut_costs_no_byte(
    tus: TusServer, delay_proxy: MakeProxy, direction: Any, after: int, *, encrypt: bool
) -> None:
    """Before, within and after a request, or its answer: the file is whole (scenario 7)."""
    proxy = delay_proxy(tus)
    with tus_bench(proxy.through(tus.url), encrypt=encrypt) as bench:
        bench.store.learn(Wait())
        proxy.cut(direction, after if direction is UP else 0, only="POST|PATCH|HEAD")
        receipt = bench.upload(of(6))
        assert proxy.faults_left == 0
        assert bench.download(receipt.link or receipt.file_id) == of(6)


@pytest.mark.parametrize("after", [0, 1, CHUNK, 4 * CHUNK])
def test_a_download_that_is_cut_goes_on(tus: TusServer, delay_proxy: MakeProxy, after: int) -> None:
    """Also where the server knows no parts and has to be asked for all of it again."""
    proxy = delay_proxy(tus)
    with tus_bench(proxy.through(tus.url)) as bench:
        address = bench.upload(of(6)).file_id
        proxy.cut(DOWN, after, only="GET")
        assert bench.download(address) == of(6)
        assert proxy.faults_left == 0


def test_a_server_that_restarts_loses_nothing(tus: TusServer) -> None:
    """What it had is there when it is back; the rest follows."""
    restarts = iter([True])

    def restart(progress: Progress) -> None:
        if 0 < progress.confirmed < progress.total and next(restarts, False):
            tus.restart()

    patience = {"backoff_initial": 0.05, "backoff_max": 0.2, "max_attempts": 20}
    with tus_bench(tus.url, progress_interval=0.0, **patience) as bench:
        data = of(20)
        receipt = bench.upload(data, progress=restart)
        assert next(restarts, None) is None
        assert fetched(receipt.file_id) == data


def test_an_upload_goes_on_in_another_process(tus: TusServer, delay_proxy: MakeProxy) -> None:
    """Also one that was torn within a chunk, and after the server was killed (scenario 8)."""
    data, proxy = of(5), delay_proxy(tus)
    with tus_bench(proxy.through(tus.url)) as bench:
        upload = opened(bench, data, CHUNK)
        for index in range(3):
            put(upload, data, index, CHUNK)
        proxy.cut(UP, CHUNK // 2, only="PATCH|POST")
        with pytest.raises(Exception, match="connection"):
            put(upload, data, 3, CHUNK)
        token = upload.token
    tus.restart()
    with tus_bench(proxy.through(tus.url)) as bench:
        again = opened(bench, data, CHUNK, token)
        held = again.stored(range(5), Wait())
        assert {0, 1, 2} <= held
        proxy.forget()
        for index in sorted(set(range(5)) - held):
            put(again, data, index, CHUNK)
        address = again.commit(Wait()).location["address"]
        assert proxy.counts.bytes_up < 3 * CHUNK
    assert fetched(address) == data


_KILLED = """
import sys
from pathlib import Path
from tests.support.tusbench import tus_bench
address, source, journals = sys.argv[1:]
with tus_bench(address, journals=Path(journals), progress_interval=0.0) as bench:
    bench.upload(Path(source), progress=lambda p: print(p.chunks, flush=True))
"""


@pytest.mark.parametrize("chunks", [12, 40])
@pytest.mark.parametrize("kill_at", [1, 3, 7])
def test_a_killed_process_is_gone_on_with(
    tus: TusServer, delay_proxy: MakeProxy, tmp_path: Path, chunks: int, kill_at: int
) -> None:
    """The same call, made again, sends what the server does not hold (scenario 8, R19)."""
    data, source = of(chunks), tmp_path / "a.bin"
    source.write_bytes(data)
    proxy = delay_proxy(tus, 0.02)
    arguments = (proxy.through(tus.url), str(source), str(tmp_path / "journals"))
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        confirmed = next(n for line in process.stdout if (n := int(line)) >= kill_at)
        process.kill()
    proxy.forget()
    with tus_bench(arguments[0], journals=tmp_path / "journals") as bench:
        receipt = bench.upload(source)
        bytes_up = proxy.counts.bytes_up
    assert fetched(receipt.file_id) == data
    evidence = receipt.statistics
    assert evidence.resumed_bytes >= confirmed * CHUNK
    assert evidence.resumed_bytes + evidence.wire_bytes == len(data)
    assert bytes_up < evidence.wire_bytes + CHUNK  # heads of requests included
    assert list((tmp_path / "journals").iterdir()) == []


def test_an_upload_that_expired_can_not_be_gone_on_with(reference_server: ServerFactory) -> None:
    """The server says so, and another one is begun (scenario 11)."""
    server = reference_server(TusNode, expiration_ms=1)
    with tus_bench(server.url) as bench:
        upload = opened(bench, of(2), CHUNK)
        put(upload, of(2), 0, CHUNK)
        with pytest.raises(NotFound, match="does not keep the upload any more"):
            opened(bench, of(2), CHUNK, upload.token).stored(range(2), Wait())


def test_an_upload_that_was_removed_is_an_error_at_once(tus_node: TusNode) -> None:
    """Never a loop."""
    with tus_bench(tus_node.url) as bench:
        upload = opened(bench, of(3), CHUNK)
        put(upload, of(3), 0, CHUNK)
        requests.delete(
            json.loads(upload.token)["urls"][0], headers={"Tus-Resumable": "1.0.0"}, timeout=30
        )
        with pytest.raises(FileNotFound):
            put(upload, of(3), 1, CHUNK)


# --- what stays on the server


def test_parts_are_removed_once_they_are_a_file(tusd: Tusd) -> None:
    """Or else it would take twice its room; the file is not touched by that."""
    with tus_bench(tusd.url) as bench:
        before = set(tusd.data.iterdir())
        address = bench.upload(of(3)).file_id
        assert bench.download(address) == of(3)
    assert len(set(tusd.data.iterdir()) - before) == 2  # the file, and what is known of it


def test_an_upload_that_is_aborted_leaves_nothing(tus: TusServer) -> None:
    """Where the server lets us remove it."""
    with tus_bench(tus.url) as bench:
        before = set(tus.data.iterdir())
        upload = opened(bench, of(3), CHUNK)
        for index in range(2):
            put(upload, of(3), index, CHUNK)
        upload.abort(Wait())
        assert set(tus.data.iterdir()) == before


# --- memory

_LARGE = """
import sys
from pathlib import Path
from tests.support.tusbench import tus_bench
with tus_bench(sys.argv[1], chunk_size=None) as bench:
    print(bench.upload(Path(sys.argv[2])).file_id)
    # What getrusage says has been the test's before it was this process's.
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
def test_a_large_file_takes_little_memory(tus: TusServer, tmp_path: Path) -> None:
    """512 MiB in less than 64 MiB for all of the process (B4)."""
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(512 << 20)
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, tus.url, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    address, peak_kib = done.stdout.split()
    assert int(peak_kib) <= 64 * 1024
    with tus_bench(tus.url) as bench:
        assert bench.store.stat(address, Wait()).size == 512 << 20
        bench.delete(address)
