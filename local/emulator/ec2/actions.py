"""The table of EC2's actions that are done here; the modules of this package enter theirs with `@handles`."""

from collections.abc import Callable
from typing import Any

from local.emulator.ec2.model import Request

Handler = Callable[[Request], dict[str, Any]]
ACTIONS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Enter a function as the handler of one or more actions."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            ACTIONS[name] = handler
        return handler

    return enter
