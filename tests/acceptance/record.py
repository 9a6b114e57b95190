"""Records what the local AWS shows to an acceptance run: `python -m tests.acceptance.record`, after it has changed."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from acceptance.truth import REFERENCE
from local import stack
from local.session import LocalAws
from tests.acceptance.conftest import Account


def main() -> int:
    """0 if all checks held, and the reference is written."""
    stack.build()
    with LocalAws() as aws, tempfile.TemporaryDirectory() as folder:
        os.environ.update({name: value for name, value in aws.environment().items() if name.startswith("AWS_")})
        account = Account(aws, Path(folder))
        account.accept()
        if not account.report["ok"]:
            print(account.printed)
            return 1
        REFERENCE.write_text(json.dumps(account.report["observed"], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
