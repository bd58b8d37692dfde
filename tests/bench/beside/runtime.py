"""A Lambda runtime for Python as small as it can be: it hands events to `MODULE:FUNCTION` and posts what that returns.

AWS's own does more for each event, so what is measured with this one flatters the handler.
"""

import http.client
import importlib
import json
import os
import sys
import traceback


class Context:
    """What handlers ask of it."""

    function_name, function_version, memory_limit_in_mb = "bench", "$LATEST", "256"

    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]

    def get_remaining_time_in_millis(self):
        return 60_000


def main(handler):
    module, _, name = handler.partition(":")
    function = getattr(importlib.import_module(module), name)
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        api.request("GET", "/2018-06-01/runtime/invocation/next")
        answer = api.getresponse()
        event, context = json.load(answer), Context(answer.headers)
        try:
            kind, said = "response", function(event, context)
        except Exception as error:
            traceback.print_exc()
            kind, said = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        api.request("POST", f"/2018-06-01/runtime/invocation/{context.aws_request_id}/{kind}", json.dumps(said))
        api.getresponse().read()


if __name__ == "__main__":
    main(sys.argv[1])
