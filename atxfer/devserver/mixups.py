"""The real servers' defect of answering a look-up with another look-up's value (facts §7).

Two servers share one connection and pair answers by their order, so that of 40 look-ups over 8
connections 31 got another key's value, well-formed. Here it happens as often as the fault plan
says, whether look-ups are concurrent or not.
"""

from __future__ import annotations

from collections import deque

from atxfer.devserver.call import Call, Host
from atxfer.devserver.records import Record


class Mixups:
    """What was answered lately between any two servers, to be answered again to the wrong one."""

    def __init__(self) -> None:
        self._lately: deque[Record] = deque(maxlen=64)

    def answer(self, call: Call, owner: Host, record: Record) -> Record:
        """Return the record that the reader gets for this one: as a rule, the same."""
        others = [other for other in self._lately if other.value != record.value]
        self._lately.append(record)
        plan = call.server.world.faults
        wrong = call.fault == "mixup" or plan.happens("mixup", "lookup", call.server.atsign)
        if not wrong:
            return record
        # Nothing was asked for yet: what the public key's check of the same connection answers.
        others = others or [owner.keys.get(f"public:publickey{owner.atsign}")]
        return plan.rng.choice(others)

    def forget(self) -> None:
        """Forget what was answered."""
        self._lately.clear()
