"""Account and region: every piece of state and every event belongs to one pair of them."""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass

from ministack.core.responses import get_account_id, get_region, set_request_account_id, set_request_region


@dataclass(frozen=True)
class Scope:
    """One account in one region."""

    account: str
    region: str

    @classmethod
    def current(cls) -> "Scope":
        """The scope of the request or the work that is under way."""
        return cls(get_account_id(), get_region())

    def run[T](self, work: Callable[[], T]) -> T:
        """Do work in this scope, whatever scope the caller is in."""

        def scoped() -> T:
            set_request_account_id(self.account)
            set_request_region(self.region)
            return work()

        return contextvars.Context().run(scoped)
