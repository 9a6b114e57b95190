"""Show the e-mails that the local AWS has sent: `python -m local.mails`, with `.local/env` sourced.

A number shows only the last so many: `python -m local.mails 1`.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from local.control import Control

LINE = "-" * 100


def shown(letters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of all letters, the oldest first."""
    for letter in letters:
        yield LINE
        yield f"To: {letter['to']}"
        yield f"Subject: {letter['subject']}"
        yield ""
        yield from str(letter["text"]).rstrip().splitlines()
    yield LINE
    yield f"{len(letters)} e-mail{'' if len(letters) == 1 else 's'}"


def main(arguments: Sequence[str]) -> int:
    """Print them. The exit code is 2 where no local AWS is named."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint.startswith("http://127.0.0.1:"):
        print("mails: AWS_ENDPOINT_URL names no local AWS: run make local, then source .local/env", file=sys.stderr)
        return 2
    letters = Control(endpoint).emails()
    last = int(arguments[0]) if arguments else len(letters)
    print("\n".join(shown(letters[-last:] if last else [])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
