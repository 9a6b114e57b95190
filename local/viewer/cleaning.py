"""What is left of the HTML of a custom widget: elements, attributes and addresses on a list, and nothing else.

CloudWatch removes JavaScript "or other known security vulnerabilities", and names iframe and use
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_security.html). It does
not publish its list. This one is the usual one of HTML and SVG, so what it keeps CloudWatch can be expected to keep.
"""

import nh3

ACTION = "cwdb-action"

_TEXT = nh3.ALLOWED_TAGS
_PAGE = {"main", "section", "details", "summary", "style", "meter", "progress", "output"}
_CHOICES = {"datalist", "optgroup", "option", "select"}
_FORM = {"button", "fieldset", "form", "input", "label", "legend", "textarea", *_CHOICES}
_DRAWING = {
    *("svg", "g", "defs", "title", "desc", "symbol", "switch", "marker", "mask", "clipPath", "pattern"),
    *("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "textPath"),
    *("linearGradient", "radialGradient", "stop"),
}

_ANYWHERE = {"class", "id", "style", "title", "role", "tabindex", "lang", "dir", "hidden", "translate"}
_CONTROL = {
    *("name", "value", "type", "placeholder", "disabled", "readonly", "required", "checked", "selected", "multiple"),
    *("size", "min", "max", "minlength", "maxlength", "step", "pattern", "rows", "cols", "wrap", "list"),
    *("autocomplete", "inputmode", "label", "for", "low", "high", "optimum"),
}
_GEOMETRY = {
    *("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "dx", "dy", "d", "points", "width", "height"),
    *("viewBox", "preserveAspectRatio", "transform", "offset", "gradientUnits", "gradientTransform", "spreadMethod"),
    *("patternUnits", "patternTransform", "clipPathUnits", "maskUnits", "refX", "refY", "orient", "pathLength"),
    *("markerWidth", "markerHeight", "textLength", "lengthAdjust", "rotate", "focusable"),
}
_PAINT = {
    *("fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray"),
    *("stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "opacity", "color"),
    *("stop-color", "stop-opacity", "clip-path", "clip-rule", "mask", "marker-start", "marker-mid", "marker-end"),
    *("font-family", "font-size", "font-weight", "font-style", "text-anchor", "dominant-baseline"),
    *("alignment-baseline", "letter-spacing", "vector-effect", "shape-rendering", "text-rendering", "visibility"),
}

_ATTRIBUTES: dict[str, set[str]] = {
    **{tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()},
    "*": _ANYWHERE,
    ACTION: {"action", "confirmation", "display", "endpoint", "event"},
    "a": {"href", "hreflang", "target"},
    "details": {"open"},
    "td": {"colspan", "rowspan", "headers", "align"},
    "th": {"colspan", "rowspan", "headers", "align", "scope", "abbr"},
    **dict.fromkeys(_FORM | {"meter", "progress", "output"}, _CONTROL),
    **dict.fromkeys(_DRAWING, _GEOMETRY | _PAINT),
}

_CLEANER = nh3.Cleaner(
    tags={*_TEXT, *_PAGE, *_FORM, *_DRAWING, ACTION},
    attributes=_ATTRIBUTES,
    generic_attribute_prefixes={"aria-", "data-"},
    clean_content_tags={"script", "iframe", "object", "embed", "noscript", "template", "use", "foreignObject"},
    url_schemes={"http", "https", "mailto", "tel"},
    link_rel="noopener noreferrer",
)


def clean(html: str) -> str:
    """HTML in which nothing runs: no script, iframe, event handler, nor a script as an address."""
    return _CLEANER.clean(html)
