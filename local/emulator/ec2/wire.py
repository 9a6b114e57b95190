"""EC2's query protocol, driven by botocore's model: parameters in, boto3's shapes here, XML out.

The handlers so speak the very shapes that a caller of boto3 knows, and a parameter or a field that the API does not
have cannot be accepted or answered by accident.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

from local.emulator.ec2.errors import Ec2Error, missing

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
Tree = dict[str, Any]


@cache
def model() -> ServiceModel:
    """EC2's service model."""
    return botocore.session.Session().get_service_model("ec2")


def operation(action: str) -> OperationModel | None:
    """The model of an action; nothing if EC2 has none of that name."""
    return model().operation_model(action) if action in model().operation_names else None


def flat(body: bytes | str, query: Mapping[str, Any]) -> dict[str, str]:
    """The flat parameters of a call, from its query and its body; a name that comes twice counts once."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    found = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
    return found | dict(parse_qsl(text, keep_blank_values=True))


def parse(action: OperationModel, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Flat parameters as the nested ones that boto3 was called with.

    Raises:
        Ec2Error: UnknownParameter, MissingParameter or InvalidParameterValue.
    """
    tree: Tree = {}
    for name, value in parameters.items():
        if name not in ("Action", "Version"):
            _plant(tree, name.split("."), value)
    if action.input_shape is None:
        return {}
    parsed: dict[str, Any] = _structure(action.input_shape, tree, "")
    return parsed


def _plant(tree: Tree, path: list[str], value: str) -> None:
    for step in path[:-1]:
        below = tree.setdefault(step, {})
        if not isinstance(below, dict):
            raise Ec2Error("InvalidParameterValue", f"The parameter {'.'.join(path)} has a value and members")
        tree = below
    tree[path[-1]] = value


def query_name(name: str, shape: Shape) -> str:
    """The name of a member in a request, as botocore's EC2 serializer makes it."""
    if "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    if "name" in shape.serialization:
        given = str(shape.serialization["name"])
        return given[0].upper() + given[1:]
    return name


def _structure(shape: StructureShape, tree: Tree, where: str) -> dict[str, Any]:
    names = {query_name(name, member): (name, member) for name, member in shape.members.items()}
    found = {}
    for given, below in tree.items():
        if given not in names:
            raise Ec2Error("UnknownParameter", f"The parameter {where}{given} is not recognized")
        name, member = names[given]
        found[name] = _value(member, below, f"{where}{given}")
    for name in shape.required_members:
        if name not in found:
            raise missing(query_name(name, shape.members[name]))
    return found


def _value(shape: Shape, below: Any, where: str) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, below if isinstance(below, dict) else {}, f"{where}.")
    if isinstance(shape, ListShape):
        items = below.items() if isinstance(below, dict) else []
        ordered = sorted(items, key=lambda item: int(item[0]) if item[0].isdigit() else 0)
        return [_value(shape.member, item, f"{where}.{number}") for number, item in ordered]
    if isinstance(below, dict):
        raise Ec2Error("InvalidParameterValue", f"The parameter {where} cannot have members")
    return _scalar(shape, below, where)


def _scalar(shape: Shape, text: str, where: str) -> Any:
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "timestamp":
                return datetime.fromisoformat(text)
    except (ValueError, KeyError):
        raise Ec2Error("InvalidParameterValue", f"Value ({text}) for parameter {where} is invalid.") from None
    return text


def render(action: OperationModel, result: Mapping[str, Any], request_id: str) -> bytes:
    """An answer in boto3's shape as XML."""
    parts = [f'<?xml version="1.0" encoding="UTF-8"?>\n<{action.name}Response xmlns="{NAMESPACE}">']
    parts.append(f"<requestId>{request_id}</requestId>")
    if action.output_shape is not None:
        _render_members(action.output_shape, result, parts)
    if not result:
        parts.append("<return>true</return>")
    parts.append(f"</{action.name}Response>")
    return "".join(parts).encode()


def _render_members(shape: StructureShape, value: Mapping[str, Any], parts: list[str]) -> None:
    for name, item in value.items():
        member = shape.members.get(name)
        if member is None:  # newer clients know more fields than this model
            continue
        if item is not None:
            _render(member, str(member.serialization.get("name", name)), item, parts)


def _render(shape: Shape, tag: str, value: Any, parts: list[str]) -> None:
    parts.append(f"<{tag}>")
    if isinstance(shape, StructureShape):
        _render_members(shape, value, parts)
    elif isinstance(shape, ListShape):
        item_tag = str(shape.member.serialization.get("name", "item"))
        for item in value:
            _render(shape.member, item_tag, item, parts)
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, datetime):
        parts.append(value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")
    else:
        parts.append(escape(str(value)))
    parts.append(f"</{tag}>")


def render_error(error: Ec2Error, request_id: str) -> bytes:
    """A refusal as XML."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    ).encode()
