"""What a run observes of AWS: calls and their error codes, events, states and durations. A file keeps it at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

OK = "ok"


@dataclass
class Recorder:
    """The observations of one run, of all its attempts.

    Attributes:
        now: the time of AWS, as its last answer says it.
        step: the step that is under way.
        calls: the error codes of each operation, `ok` for an answer.
        events: as EventBridge delivered them, in their order, each once.
        states: by resource id, each state with when it was first and last seen.
        roles: what a resource is in the run, by id.
        steps: how long each step took, in seconds.
        checks: those of steps that ended in an earlier attempt.
    """

    path: Path
    now: datetime
    step: str = ""
    calls: dict[str, list[str]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, list[list[str]]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path, now: datetime) -> Recorder:
        """What was kept so far; a line that an interruption cut is left out."""
        recorder = cls(path, now)
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                kept = json.loads(line)
            except json.JSONDecodeError:
                continue
            recorder._enter(kept)
        return recorder

    def _keep(self, **observed: Any) -> None:
        kept = {"at": self.now.isoformat(), **observed}
        self._enter(kept)
        with self.path.open("a") as file:
            file.write(json.dumps(kept) + "\n")

    def _enter(self, kept: Mapping[str, Any]) -> None:
        match kept:
            case {"call": operation, "code": code}:
                self.calls.setdefault(operation, []).append(code)
            case {"event": event}:
                self.events.append(event)
            case {"resource": resource, "state": state, "at": at, "role": role}:
                self.roles[resource] = role
                self.states.setdefault(resource, []).append([state, at, at])
            case {"step": step, "seconds": seconds, "checks": checks}:
                self.steps[step] = seconds
                self.checks += checks

    def answered(self, operation: str, parsed: Mapping[str, Any]) -> None:
        """An answer of AWS: its time is the time, and its error code is kept once for each operation."""
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date:
            self.now = max(self.now, parsedate_to_datetime(date))
        code = str(parsed.get("Error", {}).get("Code", OK))
        if code not in self.calls.get(operation, []):
            self._keep(call=operation, code=code)

    def delivered(self, event: Mapping[str, Any]) -> None:
        """An event from the queue; a second delivery of it counts as none."""
        if event["id"] not in {known["id"] for known in self.events}:
            self._keep(event=dict(event))

    def seen(self, resource: str, role: str, state: str) -> None:
        """A resource is in a state."""
        known = self.states.get(resource, [])
        if known and known[-1][0] == state:
            known[-1][2] = self.now.isoformat()
        else:
            self._keep(resource=resource, role=self.roles.get(resource, role), state=state)

    def ended(self, step: str, seconds: float, checks: list[dict[str, Any]]) -> None:
        """A step has ended."""
        self._keep(step=step, seconds=seconds, checks=checks)

    def watch(self, session: Any) -> None:
        """Record every answer that clients of a boto3 session get."""
        session.events.register("after-call", self._after_call)

    def _after_call(self, model: Any, parsed: Mapping[str, Any], **_: Any) -> None:
        self.answered(f"{model.service_model.service_name}:{model.name}", parsed)
