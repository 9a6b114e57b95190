"""EventBridge Scheduler as a world sees it: slots come late, twice or never; reconcile runs that find nothing are left
out.

In an adverse world Scheduler may lose any slot. So the reconcile runs of each minute are lost while nothing is open,
but for a few. Most are lost while all that is open waits for a person or for its pause to be over: that makes an idle
hour cheap. While anything else is open each comes, unless a misfortune has another idea.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ministack.services import lambda_svc
from ministack.services import scheduler as stored

from local.emulator import executions, lost, queues, scheduler
from local.emulator.clock import CLOCK
from local.emulator.scheduler import Slot
from local.emulator.scope import Scope
from local.emulator.timers import TIMERS
from local.simulator import stage
from local.simulator.chance import Chance

HOME = (stage.HOME.account, stage.HOME.region)
IDLE_CHECKS = 0.2
"""What part of the searches for missed slots comes while there is nothing to be found."""


class Poller(queues.Polls):
    """Lambda's poller of queues: it takes a message when it is visible."""

    PAUSE = 1.0
    """Seconds until it checks again, when it found nothing to take."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def due(self) -> float | None:
        """When there is a message to take."""
        now = CLOCK.now()
        if queues.under_way():
            return max(now, self._not_before)
        return super().due()

    def run(self) -> None:
        """Take what is there; the batches run in greenlets of their own."""
        if not lambda_svc._poll_sqs():
            self._not_before = CLOCK.now() + self.PAUSE


class Schedules:
    """All schedules of the emulator."""

    def __init__(
        self, chance: Chance, of_slot: Callable[[], tuple[float, ...]], attention: Callable[[Scope, str], float]
    ) -> None:
        self._chance = chance
        self._of_slot = of_slot
        self._attention = attention
        self.due: list[datetime] = []
        """When backups were due."""

    def start(self) -> None:
        """Wait for the next slot of each."""
        TIMERS.sources.append(Poller())
        executions.arrives = self._wake
        now = datetime.now(UTC)
        for key, schedule in sorted(stored._schedules._data.items()):
            self._wait(key, schedule, now)

    def _wait(self, key: tuple[str, str, str], schedule: dict[str, Any], after: datetime) -> None:
        due = scheduler.next_due(schedule, after)
        if due is not None:
            TIMERS.after(
                due.timestamp() - CLOCK.now(), lambda: self._come(key, due), f"schedule {key[2]}", counted=False
            )

    def _come(self, key: tuple[str, str, str], due: datetime) -> None:
        schedule = stored._schedules._data.get(key)
        if schedule is None or lost.is_lost(Scope(key[0], key[1])):
            return
        self._wait(key, schedule, due)
        if schedule.get("State") != "ENABLED":
            return
        given = str(schedule["Target"].get("Input", ""))
        target = str(schedule["Target"]["Arn"])
        attention = self._attention(Scope(key[0], key[1]), target) if "sweep" in given else 1.0
        if attention < 1.0 and not self._chance.happens(attention):
            return
        is_catch_up = "catch_up" in given
        if is_catch_up and self._nothing_missed(due) and not self._chance.happens(IDLE_CHECKS):
            return
        if (
            not is_catch_up
            and "sweep" not in given
            and "take-snapshots" in schedule["Target"]["Arn"]
            and key[:2] == HOME
        ):
            self.due.append(due)
        for seconds in self._of_slot():
            TIMERS.after(seconds, lambda: self._fire(key, Slot(schedule, due)), f"a slot of {key[2]}")

    def _wake(self, scope: Scope, function: str, wake: Callable[[], None]) -> None:
        """A wake is what a slot of the reconcile run is."""
        attention = self._attention(scope, function)
        if attention < 1.0 and not self._chance.happens(attention):
            return
        for seconds in self._of_slot():
            TIMERS.after(seconds, wake, f"a wake of {function}")

    def _nothing_missed(self, now: datetime) -> bool:
        """Whether no slot has come in the last three hours."""
        return not self.due or (now - self.due[-1]).total_seconds() > 3 * 3600

    @staticmethod
    def _fire(key: tuple[str, str, str], slot: Slot) -> None:
        Scope(key[0], key[1]).run(lambda: scheduler.fire(slot))
