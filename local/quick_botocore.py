"""botocore, without working out anew, for each session or client of one process, what has one answer.

For the tests, the simulator and the fork server, which make many sessions. Every piece answers as before.
"""

from functools import cache
from typing import Any

import botocore.client
import botocore.session
import botocore.useragent
from botocore.context import get_context
from botocore.hooks import EVENT_ALIASES, EventAliaser
from botocore.loaders import create_loader
from botocore.useragent import UserAgentString

OURS = frozenset({"dynamodb", "ebs", "ec2", "lambda", "sns", "sqs", "stepfunctions", "sts"})
"""What Lifeboat calls."""


def read_descriptions_once() -> None:
    """botocore reads the description of a service anew for each session, and many tests have one of their own."""
    botocore.session.create_loader = cache(create_loader)


def make_client_classes_once() -> None:
    """botocore makes a class with a method for each of EC2's 700 operations for each client."""
    make = botocore.client.ClientCreator._create_client_class
    made: dict[str, type] = {}

    def make_once(self: Any, service_name: str, service_model: Any) -> type:
        if service_name not in OURS:
            return make(self, service_name, service_model)  # boto3 adds to S3's
        if service_name not in made:
            made[service_name] = make(self, service_name, service_model)
        return made[service_name]

    botocore.client.ClientCreator._create_client_class = make_once


def read_models_once() -> None:
    """botocore makes the shapes of a service anew for each client, and goes through all operations for one of them."""
    load = botocore.client.ClientCreator._load_service_model
    made: dict[tuple[str, str | None], Any] = {}

    def load_once(self: Any, service_name: str, api_version: str | None = None) -> Any:
        if service_name not in OURS:
            return load(self, service_name, api_version)
        if (service_name, api_version) not in made:
            made[service_name, api_version] = load(self, service_name, api_version)
        return made[service_name, api_version]

    botocore.client.ClientCreator._load_service_model = load_once


def translate_events_once() -> None:
    """botocore compares the name of each event of each client with all names that have ever changed."""
    begin = EventAliaser.__init__
    names: dict[str, str] = {}

    def __init__(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:  # noqa: N807
        begin(self, event_emitter, event_aliases)
        if self._event_aliases == EVENT_ALIASES:
            self._alias_name_cache = names

    EventAliaser.__init__ = __init__


def clean_user_agents_once() -> None:
    """botocore checks each character of each part of the user agent for each call."""
    name = "sanitize_user_agent_string_component"
    setattr(botocore.useragent, name, cache(getattr(botocore.useragent, name)))


def write_user_agents_once() -> None:
    """botocore puts the user agent together from a dozen parts, twice for each call.

    It depends on the generator's own fields and on what the call uses; with the same of both the last one stands.
    """
    write = UserAgentString.to_string

    def to_string(self: Any) -> Any:
        context = get_context()
        fields = {
            name: set(value) if isinstance(value, set) else value
            for name, value in self.__dict__.items()
            if name != "_lifeboat_last"
        }
        used = set(context.features) if context else set()
        last = self.__dict__.get("_lifeboat_last")
        if last is None or last[0] != (fields, used):
            last = self._lifeboat_last = ((fields, used), write(self))
        return last[1]

    UserAgentString.to_string = to_string


def quicken() -> None:
    """Once, before the first client is made."""
    read_descriptions_once()
    make_client_classes_once()
    read_models_once()
    translate_events_once()
    clean_user_agents_once()
    write_user_agents_once()
