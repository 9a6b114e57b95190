"""A region that is gone: what was in it with it, for as long as the local AWS runs.

No one is notified. Requests to it get no answer, its schedules fire no more, and no event of it arrives anywhere.
"""

from local.emulator.ec2.model import WORLD
from local.emulator.scope import Scope

_LOST: set[str] = set()


def lose(region: str) -> None:
    """Lose a region, for good."""
    _LOST.add(region)
    WORLD.forget(region)


def is_lost(scope: Scope) -> bool:
    """Whether what belongs to this scope is gone."""
    return scope.region in _LOST
