"""The control endpoint of the local AWS, typed: delays, faults, seeds, events, schedules, logs."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from local.contents import Contents

ANSWERED_WITHIN = 3600.0
"""Seconds; a request to the control endpoint is answered however slow the machine is."""
Tags = Mapping[str, str]


class ControlError(RuntimeError):
    """The control endpoint refused; the message says why."""


class NotSettledError(RuntimeError):
    """Nothing moves any more, and something is still under way.

    Attributes:
        under_way: what, in words.
    """

    def __init__(self, under_way: Sequence[str]) -> None:
        super().__init__(f"nothing moves any more; still under way: {', '.join(under_way)}")
        self.under_way = list(under_way)


def _given(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not None, with times as text."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in arguments.items()
        if value is not None
    }


@dataclass(frozen=True)
class Control(Contents):
    """What a test may ask of the local AWS that it could not ask of AWS.

    Every method raises `ControlError` if the emulator refuses.

    Attributes:
        endpoint: the URL of the local AWS.
    """

    endpoint: str

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = ANSWERED_WITHIN
    ) -> Any:
        url = f"{self.endpoint}/_local/{path}"
        data = None
        if method == "GET" and body:
            url += "?" + urlencode(body)
        elif method != "GET":
            data = json.dumps(dict(body or {})).encode()
        request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise ControlError(f"{method} /_local/{path}: {error.read().decode(errors='replace')}") from error

    # --- how it behaves

    def settings(self) -> dict[str, Any]:
        """All settings with their present values."""
        return dict(self._call("GET", "settings"))

    def configure(self, changes: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Change settings (`local/emulator/settings.py` has them all); returns them."""
        return dict(self._call("POST", "settings", {**(changes or {}), **more}))

    def set_delays(self, every: float | None = None, **delays: float) -> dict[str, Any]:
        """Change how long EC2 takes, in seconds: all kinds to `every`, then single kinds by name.

        What it takes `math.inf` for ends with `finish`.
        """
        known = self.settings()["delays"]
        wanted = {name: every for name in known if every is not None and name != "event"}
        return self.configure({"delays": {**wanted, **delays}})

    def set_throttling(self, *, on: bool = True, speed: float = 1.0) -> None:
        """EC2's API token buckets on or off, full, refilling `speed` times as fast as in AWS."""
        self.configure({"throttling": on, "throttle_speed": speed})

    def reset(self) -> None:
        """Behave again: no faults, no failing creations, no event faults, no instance flags, no throttling."""
        self._call("POST", "reset")

    # --- waiting and observing

    def settle(self) -> None:
        """Wait until nothing is under way: no timer, event, invocation, retry, request or polled queue.

        A simulated clock moves on meanwhile. What EC2 was asked to keep stuck, or to take for ever for, and events that
        are held, are not under way.

        Raises:
            NotSettledError: nothing moves any more, although something is under way. However slow the machine is, and
                however long it takes, is no reason.
        """
        answer = self._call("POST", "settle")
        if not answer["settled"]:
            raise NotSettledError(answer["under_way"])

    def now(self) -> datetime:
        """The time on the clock of the local AWS, in UTC."""
        return datetime.fromisoformat(self._call("GET", "clock")["now"])

    def advance(self, seconds: float = 0.0, *, to: datetime | None = None) -> datetime:
        """Move a simulated clock on, by seconds or to a time; all that is due by then has been done. The time then."""
        return datetime.fromisoformat(self._call("POST", "advance", _given(seconds=seconds, to=to))["now"])

    def finish(self, what: str = "", most: int | None = None) -> int:
        """End at once what EC2 takes for ever for, by an infinite delay; returns how many there were.

        Args:
            what: only what begins so, as `copy` or `volume vol-...`.
            most: only the first so many; all of them if not given.
        """
        return int(self._call("POST", "finish", {"what": what, "most": most})["finished"])

    def under_way(self) -> list[str]:
        """What is under way, in words."""
        return list(self._call("GET", "under-way"))

    def mark(self) -> int:
        """A mark in all logs: what follows it is `since` it."""
        return int(self._call("POST", "mark")["mark"])

    def calls(
        self, since: int = 0, *, service: str | None = None, action: str | None = None, caller: str | None = None
    ) -> list[dict[str, Any]]:
        """API calls after a mark; `caller` matches any part of the caller's ARN, such as a function's name."""
        return list(self._call("GET", "calls", _given(since=since, service=service, action=action, caller=caller)))

    def counts(self, since: int = 0, *, service: str | None = None, caller: str | None = None) -> dict[str, int]:
        """The number of API calls after a mark, by `service:Action`."""
        return dict(self._call("GET", "calls/counts", _given(since=since, service=service, caller=caller)))

    def invocations(self, since: int = 0, *, function: str | None = None) -> list[dict[str, Any]]:
        """Executions of functions that ended after a mark; `function` matches any part of the name."""
        return list(self._call("GET", "invocations", _given(since=since, function=function)))

    def events(self, since: int = 0, *, detail_type: str | None = None) -> list[dict[str, Any]]:
        """Events that AWS sent after a mark, each with its `fate`: sent, put, or the fault that hit it."""
        return list(self._call("GET", "events", _given(since=since, **{"detail-type": detail_type})))

    def emails(self, since: int = 0) -> list[dict[str, Any]]:
        """E-mails that topics sent after a mark: `to`, `topic`, `subject`, `text`."""
        return list(self._call("GET", "emails", _given(since=since)))

    # --- seeds

    def seed_snapshot(
        self,
        *,
        start_time: datetime | None = None,
        volume_id: str | None = None,
        size: int = 8,
        tags: Tags | None = None,
        owner: str | None = None,
        state: str = "completed",
        storage_tier: str = "standard",
        encrypted: bool = False,
        kms_key_id: str | None = None,
        description: str = "",
        snapshot_id: str | None = None,
        users: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        region: str | None = None,
        account: str | None = None,
    ) -> str:
        """A snapshot as if it had been taken then; its volume need not exist. Returns its id."""
        wanted = _given(
            start_time=start_time,
            volume_id=volume_id,
            size=size,
            tags=dict(tags or {}),
            owner=owner,
            state=state,
            storage_tier=storage_tier,
            encrypted=encrypted,
            kms_key_id=kms_key_id,
            description=description,
            snapshot_id=snapshot_id,
            users=users,
            groups=groups,
            region=region,
            account=account,
        )
        return str(self._call("POST", "seed/snapshot", wanted)["snapshot_id"])

    def seed_image(
        self,
        *,
        owner: str,
        name: str,
        image_id: str | None = None,
        alias: str | None = None,
        public: bool | None = None,
        state: str = "available",
        root_device_name: str = "/dev/xvda",
        root_size: int = 8,
        mappings: Sequence[Mapping[str, Any]] | None = None,
        product_codes: Sequence[str] | None = None,
        watermarks: Sequence[Mapping[str, Any]] | None = None,
        source_image_id: str | None = None,
        source_image_region: str | None = None,
        ancestry_recorded: bool = True,
        allowed: bool = True,
        users: Sequence[str] | None = None,
        tags: Tags | None = None,
        region: str | None = None,
        account: str | None = None,
    ) -> str:
        """An image of any account; public unless it is the home account's. Returns its id.

        Args:
            mappings: block device mappings as DescribeImages shows them; a root volume of `root_size` GiB if none.
            watermarks: as DescribeImages shows them.
            source_image_id: what it was copied or created from, for GetImageAncestry.
        """
        wanted = _given(
            owner=owner,
            name=name,
            image_id=image_id,
            alias=alias,
            public=public,
            state=state,
            root_device_name=root_device_name,
            root_size=root_size,
            mappings=mappings,
            product_codes=product_codes,
            watermarks=watermarks,
            source_image_id=source_image_id,
            source_image_region=source_image_region,
            ancestry_recorded=ancestry_recorded,
            allowed=allowed,
            users=users,
            tags=dict(tags or {}),
            region=region,
            account=account,
        )
        return str(self._call("POST", "seed/image", wanted)["image_id"])

    def set_tags(self, resource: str, tags: Mapping[str, str | None], *, region: str | None = None) -> dict[str, str]:
        """Set tags on any resource, `aws:` ones included; None removes one. Returns all its tags."""
        return dict(self._call("POST", "tags", _given(resource=resource, tags=dict(tags), region=region)))

    def lose_region(self, region: str) -> None:
        """A region is gone with all that was in it, for good: no request to it is answered, nothing in it runs."""
        self._call("POST", "region/lose", {"region": region})

    def set_image(
        self,
        image_id: str,
        *,
        state: str | None = None,
        public: bool | None = None,
        allowed: bool | None = None,
        region: str | None = None,
    ) -> None:
        """Deregister, disable or hide an image of any account."""
        self._call(
            "POST", "image", _given(image_id=image_id, state=state, public=public, allowed=allowed, region=region)
        )

    # --- misbehaviour of EC2

    def set_instance(
        self,
        instance_id: str,
        *,
        capacity_refusals: int | None = None,
        falls_back: int | None = None,
        impaired: bool | None = None,
        stuck_stopping: bool | None = None,
        lifecycle: str | None = None,
        running_since: datetime | None = None,
        launch_time: datetime | None = None,
        attach_time: datetime | None = None,
        region: str | None = None,
    ) -> None:
        """Make an instance go wrong, or have it be there for longer.

        Args:
            capacity_refusals: so many API calls to start it fail with InsufficientInstanceCapacity; -1 for ever. It is
                an HTTP 500 as in AWS, so botocore tries three times by itself.
            falls_back: so many starts are accepted and end in `stopped`; -1 for ever.
            impaired: its status checks fail.
            stuck_stopping: it never leaves `stopping`, except with Force.
            lifecycle: `spot` makes it a spot instance.
            attach_time: since when its volumes are attached, all of them.
        """
        flags = _given(
            instance_id=instance_id,
            capacity_refusals=capacity_refusals,
            falls_back=falls_back,
            impaired=impaired,
            stuck_stopping=stuck_stopping,
            lifecycle=lifecycle,
            running_since=running_since,
            launch_time=launch_time,
            attach_time=attach_time,
            region=region,
        )
        self._call("POST", "instance", flags)

    def fail_creation(
        self,
        kind: str,
        *,
        resource: str | None = None,
        nth: int = 1,
        count: int = 1,
        cause: str = "",
        stuck: bool = False,
    ) -> None:
        """The n-th `snapshot`, `volume`, `copy` or `image` from now ends in `error`.

        Args:
            resource: only those of this volume or instance (snapshot), or of this snapshot (volume, copy).
            count: so many in a row; 0 is all.
            stuck: it stays `pending` or `creating` for ever instead.
        """
        wanted = _given(kind=kind, resource=resource, nth=nth, count=count, cause=cause, stuck=stuck)
        self._call("POST", "outcome", wanted)

    def fault(
        self,
        action: str,
        effect: str = "fail",
        *,
        service: str = "ec2",
        nth: int = 1,
        count: int = 1,
        resource: str | None = None,
        caller: str | None = None,
        code: str | None = None,
        message: str | None = None,
        seconds: float | None = None,
        dry_run: bool | None = None,
    ) -> int:
        """Make API calls go wrong; returns the fault's number.

        Args:
            action: the operation, such as `CreateSnapshots`; `*` is every one.
            effect: `fail`, `throttle`, `answer_error`, `drop`, `kill`, `kill_before` or `delay`
                (`local/emulator/faults.py` says what each does).
            nth: the first matching call that is hit; 1 is the next one.
            count: so many in a row; 0 is all. botocore's own retries are calls too.
            resource: only calls that name this anywhere.
            caller: only callers whose ARN contains this, such as a function's name.
            code: the error code of `fail` and `answer_error`.
            dry_run: only calls with DryRun; without it, only calls without.
        """
        wanted = _given(
            action=action,
            effect=effect,
            service=service,
            nth=nth,
            count=count,
            resource=resource,
            caller=caller,
            code=code,
            message=message,
            seconds=seconds,
            dry_run=dry_run,
        )
        return int(self._call("POST", "faults", wanted)["number"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults with how many calls they saw and hit."""
        return list(self._call("GET", "faults"))

    # --- events and schedules

    def event_fault(
        self,
        effect: str,
        *,
        detail_type: str | None = None,
        containing: str | None = None,
        nth: int = 1,
        count: int = 1,
        seconds: float | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> int:
        """`drop`, `double`, `delay`, `hold` or `alter` events that EC2 sends; returns the fault's number.

        Args:
            containing: only events whose resources or detail contain this, such as an id or `"state": "stopped"`.
            count: so many in a row; 0 is all.
            changes: of `alter`: what stands in the detail instead.
        """
        wanted = _given(
            effect=effect,
            detail_type=detail_type,
            containing=containing,
            nth=nth,
            count=count,
            seconds=seconds,
            changes=changes,
        )
        return int(self._call("POST", "events/faults", wanted)["number"])

    def event_faults(self) -> list[dict[str, Any]]:
        """The event faults with how many events they saw and hit."""
        return list(self._call("GET", "events/faults"))

    def held_events(self) -> int:
        """How many events are held."""
        return int(self._call("GET", "events/held")["held"])

    def release_events(self, *, newest_first: bool = False, discard: bool = False) -> int:
        """Send what is held, in its order or reversed, or forget it; returns how many there were."""
        return int(self._call("POST", "events/release", {"newest_first": newest_first, "discard": discard})["released"])

    def release_messages(self, queue: str = "") -> int:
        """Hand out again all messages that are delayed, held back or being worked on; how many there were.

        Args:
            queue: only of queues whose URL has this in it.
        """
        return int(self._call("POST", "messages/release", {"queue": queue})["released"])

    def put_event(self, event: Mapping[str, Any]) -> str:
        """Put any event on the default bus, `aws.ec2` ones included; returns its id.

        Args:
            event: as in `tests/fixtures/events`: `detail-type`, `detail`, and if wanted `source`, `resources`,
                `account`, `region`, `id`.
        """
        return str(self._call("POST", "events", event)["id"])

    def schedules(self, *, after: datetime | None = None) -> list[dict[str, Any]]:
        """Every schedule: name, target, expression, time zone, state, next due time after now or a given time."""
        return list(self._call("GET", "schedules", _given(after=after)))

    def fire_schedule(
        self, schedule: str, scheduled_time: datetime | str | None = None, *, region: str | None = None
    ) -> str:
        """Fire a schedule through the real path; returns the slot's scheduled time.

        Args:
            schedule: a part of the schedule's name or of its target's ARN that no other schedule has.
            scheduled_time: the slot's due time; the current minute if none.
        """
        wanted = _given(schedule=schedule, scheduled_time=scheduled_time, region=region)
        return str(self._call("POST", "schedules/fire", wanted)["scheduled_time"])
