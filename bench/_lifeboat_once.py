"""One invocation of a handler as it was built, in a process of its own, as Lambda would start it.

Arguments: the folder of the built layer, that of the function, the event as JSON. Prints how long each list of the
answer is.
"""

import json
import sys
import time

layer, function, event = sys.argv[1:]
sys.path[:0] = [layer, function]

import app  # type: ignore[import-not-found]  # noqa: E402

SECONDS = 900


class Context:
    """What Lambda gives an invocation."""

    function_name = "lifeboat"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:lifeboat"
    aws_request_id = "1"
    ends = time.monotonic() + SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.ends - time.monotonic()))


try:
    answer = app.handler(json.loads(event), Context())
except Exception as problem:  # what Lambda would retry
    print(json.dumps({"problem": str(problem)}))
    sys.exit(1)
print(json.dumps({name: len(value) for name, value in answer.items() if isinstance(value, list)}))
