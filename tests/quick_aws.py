"""botocore and moto, without working out anew, for each call or test, what has one answer.

Every piece answers as before; only how often it is worked out changes.
"""

from __future__ import annotations

import re
import string
import sys
from copy import deepcopy
from functools import cache
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import xmltodict
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.compat import get_current_datetime
from moto import backend_index
from moto.core import models, responses, serialize
from moto.core.base_backend import BaseBackend
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, Request
from moto.core.serialize import ResponseSerializer, XFormedAttributePicker
from moto.core.utils import MISSING, get_value
from moto.dynamodb import models as dynamodb
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser
from moto.ec2 import utils as ec2_utils
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.kms import models as kms
from moto.moto_api._internal import mock_random
from moto.moto_api._internal.moto_random import Random

from local import quick_botocore
from local.quick_botocore import OURS


def name_the_caller_without_signing() -> None:
    """moto and the local AWS read who asks. Only the session of a role has a signature that the local AWS compares."""
    sign = SigV4Auth.add_auth

    def add_auth(self: Any, request: Any) -> None:
        if type(self) is not SigV4Auth or self.credentials is None or self.credentials.token:
            sign(self, request)
            return
        request.context["timestamp"] = get_current_datetime().strftime(SIGV4_TIMESTAMP)
        self._modify_request_before_signing(request)
        words = f"AWS4-HMAC-SHA256 Credential={self.scope(request)}, SignedHeaders=host, Signature=0"
        request.headers["Authorization"] = words

    SigV4Auth.add_auth = add_auth


def find_methods_once() -> None:
    """moto searches a class anew for each call."""
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


def pick_values_quickly() -> None:
    """moto makes an object for each member of each answer to look up the names that it may have."""
    pick, usual = ResponseSerializer.get_value, serialize.DEFAULT_ALIAS_PROVIDERS

    def get(self: Any, value: Any, key: str, shape: Any) -> Any:
        picker = self._value_picker
        if type(picker) is not XFormedAttributePicker or picker.alias_providers is not usual:
            return pick(self, value, key, shape)
        kind = value.__class__
        known = shape.__dict__.get("_lifeboat_names")
        if known is None:
            known = shape._lifeboat_names = {}
        names = known.get((kind, key))
        if names is None:
            context = serialize.AttributePickerContext(
                value, key, shape, self.operation_model, self.operation_model.service_model
            )
            names = known[kind, key] = tuple(picker.get_possible_keys(context))
        found = _first(value, kind, names)
        if picker.response_transformers:
            return _transformed(found, picker.response_transformers, self.path, key)
        return found

    ResponseSerializer.get_value = get


_ENDS: dict[tuple[int, int, str], tuple[str, ...]] = {}
"""Of each response class's transformers, to which moto only adds: the paths that a member of this name may end."""


def _transformed(found: Any, transformers: dict[str, Any], path: list[str], key: str) -> Any:
    known = (id(transformers), len(transformers), key)
    if known not in _ENDS:
        _ENDS[known] = tuple(end for end in transformers if key.endswith(end.rpartition(".")[2]))
    for end in _ENDS[known]:
        if f"{'.'.join(path)}.{key}".endswith(end):
            return transformers[end](found)
    return found


def _first(value: Any, kind: type, names: tuple[str, ...]) -> Any:
    for name in names:
        found = value.get(name, MISSING) if kind is dict and "." not in name else get_value(value, name, MISSING)
        if found is not MISSING:
            return found
    return None


def write_xml_quickly() -> None:
    """xmltodict goes through a handler of SAX, and checks each letter of each name, for each element."""

    def unparse(document: Any, *, full_document: bool, pretty: bool, short_empty_elements: bool, **more: Any) -> str:
        if pretty or more or len(document) != 1:
            return xmltodict.unparse(
                document,
                full_document=full_document,
                pretty=pretty,
                short_empty_elements=short_empty_elements,
                **more,
            )
        written = ['<?xml version="1.0" encoding="utf-8"?>\n'] if full_document else []
        [(name, value)] = document.items()
        _write(name, value, written, short_empty_elements)
        return "".join(written)

    serialize.xmltodict = SimpleNamespace(unparse=unparse)


_valid = cache(xmltodict._validate_name)


def _write(name: str, value: Any, written: list[str], short: bool) -> None:
    _valid(name, "element")
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, dict):
            content: list[str] = []
            attributes = ""
            for below, inner in item.items():
                if below[0] == "@":
                    _valid(below[1:], "attribute")
                    attributes += f" {below[1:]}={quoteattr(_text(inner))}"
                elif below[0] == "#":
                    content.append(escape(_text(inner)))
                elif not (isinstance(inner, list) and not inner):
                    _write(below, inner, content, short)
            body = "".join(content)
        else:
            attributes, body = "", "" if item is None else escape(_text(item))
        written.append(f"<{name}{attributes}>{body}</{name}>" if body or not short else f"<{name}{attributes}/>")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else xmltodict._convert_value_to_string(value)


def draw_ids_at_once() -> None:
    """moto draws each digit of an id by itself."""
    ec2_utils.random_resource_id = lambda size=8: f"{mock_random.getrandbits(4 * size):0{size}x}"


def draw_strings_at_once() -> None:
    """moto draws each of the 52 characters of a request's id by itself."""

    def get_random_string(self: Any, length: int = 20, include_digits: bool = True, lower_case: bool = False) -> str:
        drawn = "".join(self.choices(string.ascii_letters + string.digits * include_digits, k=length))
        return drawn.lower() if lower_case else drawn

    Random.get_random_string = get_random_string


def list_addresses_once() -> None:
    """moto writes the addresses of a service out anew for each call."""
    write: Any = BaseBackend.urls
    written: dict[type, Any] = {}

    def urls(self: Any) -> Any:
        if type(self) not in written:
            written[type(self)] = write.fget(self)
        return written[type(self)]

    BaseBackend.urls = property(urls)


_PLAIN = re.compile(r"(https?)://([a-z0-9.-]+)/")


def build_requests_quickly() -> None:
    """werkzeug's builder knows forms, files and cookies; most calls are bytes that are posted to the path /."""
    build = Request.from_primitives

    def from_primitives(method: str, url: str, headers: Any, body: Any = None) -> Request:
        plain = _PLAIN.fullmatch(url)
        if not plain or method != "POST" or not isinstance(body, bytes) or not body:
            return build(method, url, headers, body)
        texts = {
            name.upper().replace("-", "_"): value.decode() if isinstance(value, bytes) else value
            for name, value in headers.items()
            if name.lower() not in {"transfer-encoding", "content-length"}
        }
        if any("_" in name for name in headers) or "HOST" in texts:
            return build(method, url, headers, body)
        kind = texts.pop("CONTENT_TYPE", None)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "REQUEST_URI": "/",
            "RAW_URI": "/",
            "SERVER_NAME": plain[2],
            "SERVER_PORT": "443" if plain[1] == "https" else "80",
            "HTTP_HOST": plain[2],
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": plain[1],
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **({} if kind is None else {"CONTENT_TYPE": kind}),
            "CONTENT_LENGTH": str(len(body)),
            **{f"HTTP_{name}": value for name, value in texts.items()},
            PRESERVED_HEADER_NAMES_ENVIRON_KEY: {},
        }
        return Request(environ)

    Request.from_primitives = from_primitives


def read_names_of_actions_once() -> None:
    responses.camelcase_to_underscores = cache(responses.camelcase_to_underscores)


def copy_tables_once() -> None:
    """moto copies the whole table for each item of a transaction, before the first one is written.

    The copies are the same, and it puts one of them back if an item fails.
    """
    write = dynamodb.DynamoDBBackend.transact_write_items

    def write_items(self: Any, transact_items: Any) -> None:
        copies: dict[str, Any] = {}

        def copied(found: Any) -> Any:
            if not isinstance(found, dynamodb.Table):
                return deepcopy(found)
            if found.name not in copies:
                copies[found.name] = deepcopy(found)
            return copies[found.name]

        dynamodb.copy = SimpleNamespace(deepcopy=copied)  # one call at a time: see conftest.py
        write(self, transact_items)

    dynamodb.DynamoDBBackend.transact_write_items = write_items


def name_kinds_of_nodes_once() -> None:
    """moto makes a dictionary of methods for each node of each expression to read its keys."""
    name = DepthFirstTraverser.nodes_to_be_processed

    def nodes_to_be_processed(self: Any) -> Any:
        if "_lifeboat_kinds" not in self.__dict__:
            self._lifeboat_kinds = name(self)
        return self._lifeboat_kinds

    DepthFirstTraverser.nodes_to_be_processed = nodes_to_be_processed


def quicken() -> None:
    """Once, before the first client is made."""
    quick_botocore.quicken()
    name_the_caller_without_signing()
    find_methods_once()
    find_services_quickly()
    leave_requests_alone()
    find_tags_quickly()
    make_keys_once()
    pick_values_quickly()
    write_xml_quickly()
    draw_ids_at_once()
    draw_strings_at_once()
    list_addresses_once()
    build_requests_quickly()
    read_names_of_actions_once()
    copy_tables_once()
    name_kinds_of_nodes_once()
