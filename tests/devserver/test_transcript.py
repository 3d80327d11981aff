"""The recorded conversation with the original servers, held again with the development server.

Every event is compared, texts of errors included; only what differs from run to run is masked.
Pauses of the recording pass on the servers' clock.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from atxfer._crypto.atkeys import AtKeys
from atxfer.devserver import DevServer
from tests.support.lines import LineClient

EVENTS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "atprotocol-transcript.json").read_text("utf-8")
)["events"]

SECRETS = {"@alice": "alice's secret", "@bob": "bob's secret"}

_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MASKS = [
    (_UUID, "UUID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z", "DATE"),
    (r'"epochMillis":\d+', '"epochMillis":0'),
    (r"^data:\d+$", "data:N"),
    (r'"data":"\d+"', '"data":"N"'),
    (r"localhost:\d+", "localhost:PORT"),
    (r"[A-Za-z0-9+/]{100,}=*", "BASE64"),
    (r"^data:[A-Z0-9]{6}$", "data:OTP"),
    (r'"uptimeAsMillis":\d+', '"uptimeAsMillis":0'),
    (r'"uptimeAsWords":"[^"]*"', '"uptimeAsWords":""'),
    (r'"commitId":\d+', '"commitId":0'),
    (r'("id":"\d+","name":"\w+","value":)("(?:[^"\\]|\\.)*"|\d+)', r"\1null"),
]


def masked(text: str) -> str:
    """Return a text without what differs from run to run; lists have no order of their own."""
    for pattern, word in _MASKS:
        text = re.sub(pattern, word, text, flags=re.M)
    whole = re.fullmatch(r"data:( ?)(\[.*\])\n(.*)", text, re.S)
    if whole:
        entries = sorted(json.loads(whole[2]), key=json.dumps)
        text = f"data:{whole[1]}{json.dumps(entries)}\n{whole[3]}"
    if text.startswith("notification:"):
        text = "\n".join(sorted(text.splitlines()))
    return text


class Replay:
    """Plays events, and keeps what later ones refer to."""

    def __init__(self, world: DevServer) -> None:
        self.world = world
        self.clients: dict[str, LineClient] = {}
        self.keys = {"@alice": AtKeys.generate("@alice"), "@bob": AtKeys.generate("@bob")}
        self.device = AtKeys.generate("@alice")
        self.stranger = AtKeys.generate("@alice")
        self.challenges: dict[str, str] = {}
        self.otp = ""
        self.enrolments: dict[str, str] = {}
        self.asked = ""

    def play(self, event: dict[str, Any]) -> None:
        """Do or expect what an event says."""
        name = event.get("conn", "")
        if "wait_s" in event:
            self.world.advance(event["wait_s"])
        elif "open" in event:
            self.clients[name] = LineClient(self.world, event["open"], greeted=False)
        elif "send" in event:
            self._send(name, event)
        elif "send_raw" in event:
            for packet in event["send_raw"]:
                self.client(name).write(packet)
        elif "recv" in event:
            self._expect(name, event)
        elif "closed" in event:
            assert self.client(name).is_closed

    def client(self, name: str) -> LineClient:
        """Return a connection by its name; some were opened before the recording."""
        return self.clients[name]

    # --- sending

    def _send(self, name: str, event: dict[str, Any]) -> None:
        self.world.idle()
        client = self.client(name)
        self.asked = line = self._line(name, event)
        client.write(f"{line}\n")
        waits = line.startswith("noop:") and 1 < int(line[5:]) <= 5000
        if waits or '"otp": "WRONG1"' in line:
            self.world.until_asleep()
            self.world.advance(5.0)

    def _line(self, name: str, event: dict[str, Any]) -> str:
        line = str(event["send"])
        cut = re.fullmatch(r"(.*)\.\.\.\((\d+) characters\)", line, re.S)
        if cut:
            return cut[1] + "y" * (int(cut[2]) - len(cut[1]))
        for recorded, now in self.enrolments.items():
            line = line.replace(recorded, now)
        if re.match(r"pkam:.*\S{50}", line):
            signer = self._signer(name, event)
            return line[: line.rindex(":") + 1] + signer.sign(self.challenges[name])
        if line.startswith("cram:") and not line.startswith("cram:0000"):
            atsign = self.client(name).atsign
            text = SECRETS[atsign] + self.challenges[name]
            return f"cram:{hashlib.sha512(text.encode()).hexdigest()}"
        return self._with_our_keys(name, line)

    def _signer(self, name: str, event: dict[str, Any]) -> AtKeys:
        if event.get("note") == "signed with a wrong key":
            return self.stranger
        return (
            self.device if "enrollmentId" in event["send"] else self.keys[self.client(name).atsign]
        )

    def _with_our_keys(self, name: str, line: str) -> str:
        keys = self.keys.get(self.client(name).atsign)
        if line.startswith("enroll:request:"):
            params = json.loads(line[len("enroll:request:") :])
            params["apkamPublicKey"] = self.device.pkam_public
            params["otp"] = params["otp"] if params["otp"] == "WRONG1" else self.otp
            return "enroll:request:" + json.dumps(params)
        for front, part in (
            ("update:privatekey:at_pkam_publickey ", "pkam_public"),
            (f"update:public:publickey{self.client(name).atsign} ", "encryption_public"),
        ):
            if line.startswith(front):
                return front + str(getattr(keys, part))
        return line

    # --- expecting

    def _expect(self, name: str, event: dict[str, Any]) -> None:
        want: str = event["recv"]
        end = "@" if want == "@" else want[want.rindex("\n") :]
        client = self.client(name)
        got = client.read_until(end.encode(), want.count(end))
        self._remember(name, got, want)
        assert masked(got) == masked(want)
        if "then" in event:
            self.world.idle()
            assert client.is_silent

    def _remember(self, name: str, got: str, want: str) -> None:
        first = got.partition("\n")[0]
        if re.fullmatch(r"data:_\S+", first):
            self.challenges[name] = first[len("data:") :]
        if re.fullmatch(r"data:[A-Z0-9]{6}", first):
            self.otp = first[len("data:") :]
        found, recorded = (_pending(text) for text in (got, want))
        if found and recorded:
            self.enrolments[recorded] = found


def _pending(text: str) -> Optional[str]:
    match = re.search(r'"enrollmentId":"([^"]+)","status":"pending"', text)
    return match[1] if match else None


@pytest.fixture(params=["memory", "sqlite"])
def replay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replay]:
    """A world that nobody has activated, as the recording began."""
    storage = tmp_path if request.param == "sqlite" else None
    with DevServer((), cram_secrets=SECRETS, storage=storage) as world:
        replay = Replay(world)
        yield replay
        for client in replay.clients.values():
            client.__exit__()
        assert world.failures == []


def test_the_recorded_conversation(replay: Replay) -> None:
    """Whatever the original servers answered, the development server answers."""
    section = ""
    for place, event in enumerate(EVENTS):
        section = event.get("section", section)
        if section.startswith("too many"):
            break
        try:
            replay.play(event)
        except AssertionError as error:
            raise AssertionError(
                f"event {place} of {section!r}, to {replay.asked[:90]!r}"
            ) from error


def test_one_connection_too_many(replay: Replay) -> None:
    """The 201st connection is told so without a prompt, and closed."""
    replay.world.faults.max_connections = 2
    others = [LineClient(replay.world) for _ in range(2)]
    for event in EVENTS[-3:]:
        replay.play(event)
    for other in others:
        other.__exit__()
