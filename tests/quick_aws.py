"""botocore and moto, without working out anew, for each call or test, what has one answer.

Every piece answers as before; only how often it is worked out changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.client
import botocore.session
import botocore.useragent
from botocore.loaders import create_loader
from moto import backend_index
from moto.core import models, responses, serialize
from moto.core.serialize import AttributePicker
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.kms import models as kms

OURS = frozenset({"dynamodb", "ec2", "sns", "sqs", "sts"})
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


def clean_user_agents_once() -> None:
    """botocore looks at each character of each part of the user agent for each call."""
    name = "sanitize_user_agent_string_component"
    setattr(botocore.useragent, name, cache(getattr(botocore.useragent, name)))


def look_for_methods_once() -> None:
    """moto looks through a class anew for each call."""
    responses.method_names_from_class = cache(responses.method_names_from_class)


def find_services_quickly() -> None:
    """moto compares the address of each call with the patterns of all its services, in the order of their names."""
    backend_index.backend_url_patterns.sort(key=lambda item: item[0] not in OURS)  # the others keep their order


def leave_requests_alone() -> None:
    """moto makes 4,000 answers for the library `requests` for each test; nothing here uses it."""
    models.RESPONSES_METHODS.clear()


def find_tags_quickly() -> None:
    """moto compares the id of each tagged resource with an expression to find the tags of one."""

    def get_tags(self: Any) -> list[dict[str, str]]:
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(self.id), "") if self.id else ""
        tags = self.ec2_backend.tags.get(self.id, {}) if self.id else {}
        return [
            {"resource_id": self.id, "key": key, "value": value, "resource_type": kind} for key, value in tags.items()
        ]

    TaggedEC2Resource.get_tags = get_tags


def make_keys_once() -> None:
    """moto makes an RSA key (80 ms) for each KMS key, EBS's own in each new account too. No test signs with one."""
    kms.generate_private_key = cache(kms.generate_private_key)


def work_out_names_once() -> None:
    """moto works out, for each member of each answer, under which names an object may have it."""
    names: dict[object, tuple[str, ...]] = {}

    for picker in (AttributePicker, serialize.XFormedAttributePicker):
        _remember(picker, picker.get_possible_keys, names)


def _remember(picker: type[AttributePicker], work_out: Any, names: dict[object, tuple[str, ...]]) -> None:
    def get_possible_keys(self: AttributePicker, context: Any) -> Iterator[str]:
        shape = context.shape
        parent = getattr(shape, "parent", None)
        if shape is None or parent is None or context.service_model is None:
            return work_out(self, context)
        # All that the names depend on: in one service, the shape's name and its parent's tell which shape it is.
        key = (
            picker,
            tuple(self.alias_providers),
            context.service_model.service_name,
            parent.name,
            shape.name,
            shape.serialization.get("name"),
            context.key,
            context.obj.__class__,
        )
        if key not in names:
            names[key] = tuple(work_out(self, context))
        return iter(names[key])

    picker.get_possible_keys = get_possible_keys


def quicken() -> None:
    """Once, before the first client is made."""
    read_descriptions_once()
    make_client_classes_once()
    clean_user_agents_once()
    look_for_methods_once()
    find_services_quickly()
    leave_requests_alone()
    find_tags_quickly()
    make_keys_once()
    work_out_names_once()
