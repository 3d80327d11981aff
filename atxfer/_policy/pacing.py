"""When a closed gate lets the waiting requests through again: one after another, not at once.

After an overload answer all requests to a destination wait. If they all went on in the same
moment, the server would meet the very load that it had refused; so the first ones are spaced over
one round trip (peers.md R14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

__all__ = ["Opening"]


@dataclass(frozen=True)
class Opening:
    """When a gate opens, and how the first requests pass it. Times of one monotonic clock.

    Attributes:
        at: Shut before this moment.
        spaced: How many of the next requests still pass one by one.
        next_slot: The moment from which the next of these may pass.
    """

    at: float = -math.inf
    spaced: int = 0
    next_slot: float = -math.inf

    def is_shut(self, now: float) -> bool:
        """Whether nothing may pass now."""
        return now < self.at

    def shut(self, now: float, seconds: float, workers: int) -> Opening:
        """Return the gate shut for so long from now, and then passed by this many one by one."""
        return Opening(max(self.at, now + seconds), workers)

    def slot(self, now: float, spacing: float) -> tuple[Opening, float]:
        """Take the next place in the queue: the gate after that, and the seconds to wait."""
        if self.spaced == 0:
            return self, max(0.0, self.at - now)
        moment = max(now, self.at, self.next_slot)
        after = replace(self, spaced=self.spaced - 1, next_slot=moment + spacing)
        return after, moment - now
