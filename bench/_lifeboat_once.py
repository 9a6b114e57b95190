"""One invocation of take_snapshots as it was built, in a process of its own, as Lambda would start it.

Arguments: the folder of the built layer, the folder of the function, the slot. Prints how many recovery points were
begun, were there already, and failed.
"""

import json
import sys
import time

layer, function, slot = sys.argv[1:]
sys.path[:0] = [layer, function]

import app  # type: ignore[import-not-found]  # noqa: E402

SECONDS = 300


class Context:
    """What Lambda tells an invocation."""

    function_name = "take-snapshots"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:take-snapshots"
    aws_request_id = "1"
    ends = time.monotonic() + SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.ends - time.monotonic()))


try:
    answer = app.handler({"scheduled_time": slot}, Context())
except Exception as problem:  # what Lambda would retry
    print(json.dumps({"problem": str(problem)}))
    sys.exit(1)
print(json.dumps({name: len(answer[name]) for name in ("begun", "already", "failed")}))
