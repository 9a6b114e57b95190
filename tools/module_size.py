"""The size of modules and functions: at most 400 lines, and at most 50, docstrings included.

A longer module gives its reason in a line at its top: `# Over 400 lines because ...`. A longer function is split.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

MODULE, FUNCTION = 400, 50
REASON = f"# Over {MODULE} lines because "
TOP = 5
"""The reason stands in one of so many first lines."""


def too_long(text: str) -> Iterator[tuple[int, str]]:
    """The line, and what is too long there, in the source of one module."""
    lines = text.splitlines()
    if len(lines) > MODULE and not any(line.startswith(REASON) for line in lines[:TOP]):
        yield 1, f"{len(lines)} lines: split the module, or give the reason at its top: {REASON}..."
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION:
                yield node.lineno, f"{node.name} has {length} lines, expected at most {FUNCTION}: split it"
