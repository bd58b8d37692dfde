"""The Lambda side: a Runtime API server, and the function's program as its child process.

`Function` starts the program when it is first invoked (or after it died), as Lambda does, and hands it one event at a time.
Standard output goes to a file, so that what an invocation logged is complete as soon as the program asks for the next event.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from emulator import ACCOUNT, GUARD_KEY, REGION

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:eks-sg-guard"
API = "/2018-06-01/runtime"
ROOT = Path(__file__).resolve().parents[2]


def bootstrap() -> Path:
    """The program under test: `GUARD_BOOTSTRAP`, else the debug build."""
    return Path(os.environ.get("GUARD_BOOTSTRAP") or ROOT / "target" / "debug" / "bootstrap")


class StartError(Exception):
    """The program ended, or reported an error, before it asked for an event. The text is all that it said."""


@dataclass
class Answer:
    """How one invocation ended: a response, an error, or the death of the process."""

    response: Any = None
    error_type: str | None = None
    error_message: str | None = None
    died: bool = False
    lines: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return self.died or self.error_message is not None

    @property
    def log(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line, object_pairs_hook=_each_key_once) for line in self.lines if line.startswith("{")]

    @property
    def logged_records(self) -> list[dict[str, Any]]:
        """The records among the log lines."""
        return [line["record"] for line in self.log if line.get("target") == "record"]


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Which of two equal keys counts, each reader of logs decides for itself, so there must not be two."""
    keys = [key for key, _ in pairs]
    assert len(set(keys)) == len(keys), f"a key stands twice in a line of the log: {keys}"
    return dict(pairs)


class _Handler(BaseHTTPRequestHandler):
    """The four calls of the Runtime API that a function makes."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self.server.posted.put(("next", "", None))
        item = self.server.events.get()
        if item is None:
            self.close_connection = True
            return
        request_id, payload, deadline = item
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
        }
        self._reply(200, payload, headers)

    def do_POST(self) -> None:
        self.server.posted.put(
            (self.path.removeprefix(API), self.headers.get("Lambda-Runtime-Function-Error-Type", ""), self._body())
        )
        self._reply(202, b'{"status":"OK"}', {"Content-Type": "application/json"})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the program died meanwhile

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: queue.Queue[tuple[str, bytes, int] | None] = queue.Queue()  # towards the program
        self.posted: queue.Queue[tuple[str, str, bytes | None]] = queue.Queue()  # from the program: (what, error type, body)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a program that is killed hangs up
            super().handle_error(request, client_address)


class Function:
    """The program as a Lambda function with the given environment."""

    def __init__(self, endpoint: str, **environment: str) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": "eks-sg-guard",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/eks-sg-guard",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/eks-sg-guard",
            "AWS_LAMBDA_LOG_STREAM_NAME": "test",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": GUARD_KEY,
            "AWS_SECRET_ACCESS_KEY": "emulated",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": endpoint,
            "RUST_BACKTRACE": "1",
            **environment,
        }
        self._server: _Server | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()
        self._checked = 0  # how much of the output has been looked at for keys that stand twice

    def start(self, timeout: float = 20) -> None:
        """Start the program and wait until it asks for an event. Raises `StartError`."""
        self.stop()
        self._server = _Server()
        address = "{}:{}".format(*self._server.server_address)
        self._process = subprocess.Popen(
            [bootstrap()],
            env={**self._environment, "AWS_LAMBDA_RUNTIME_API": address},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        what, error_type, body = self._posted(timeout)
        if what != "next":
            status = self._process.wait(timeout)
            said = f"{self.said()}{(body or b'').decode()}".strip() or "nothing"
            self.stop()
            self._check_log()
            raise StartError(f"it ended with status {status} before it asked for an event; it said: {error_type} {said}")

    def invoke(self, event: Any, timeout: float = 60) -> Answer:
        """Hand the program one event and wait until it has answered and asks for the next one, or has died.

        The event is anything that is JSON; bytes go to the program as they are. Every line that it has logged since the last
        invocation has each key once.
        """
        if self._process is None or self._process.poll() is not None:
            self.start()
        assert self._server
        mark, began, answer = self._output.seek(0, os.SEEK_END), time.monotonic(), Answer()
        request_id = str(uuid.uuid4())
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        self._server.events.put((request_id, payload, int((time.time() + timeout) * 1000)))
        while True:
            what, error_type, body = self._posted(began + timeout - time.monotonic())
            if what == f"/invocation/{request_id}/response":
                answer.response = json.loads(body or b"null")
            elif what == f"/invocation/{request_id}/error":
                error = json.loads(body or b"{}")
                answer.error_type = error.get("errorType") or error_type
                answer.error_message = error.get("errorMessage", "")
            else:
                answer.died = what == "died"
                break
        answer.seconds = time.monotonic() - began
        answer.lines = self.said(mark).splitlines()
        self._check_log()
        return answer

    def _check_log(self) -> None:
        """Fails when a line that came since the last time has a key twice: also one of the start, which no answer shows."""
        lines = self.said(self._checked).splitlines()
        self._checked = self._output.seek(0, os.SEEK_END)
        _ = Answer(lines=lines).log

    def said(self, mark: int = 0) -> str:
        """What the program wrote to its standard output (and standard error) since the mark."""
        return os.pread(self._output.fileno(), 1 << 26, mark).decode(errors="replace")

    @property
    def memory(self) -> int:
        """Kilobytes that the process has in memory; 0 when none runs."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text() if self._process else ""
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)

    def kill(self) -> None:
        """End the process at once, as a timeout or a lost host does."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """End the process and the server. Harmless when nothing runs."""
        self.kill()
        if self._process:
            self._process.wait()
        if self._server:
            self._server.events.put(None)
            self._server.shutdown()
            self._server.server_close()
        self._process = self._server = None

    def _posted(self, timeout: float) -> tuple[str, str, bytes | None]:
        """What the program said next to the Runtime API; `died` when its process is over; an error when it is too slow."""
        assert self._server is not None
        assert self._process is not None
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            over = self._process.poll() is not None
            try:
                return self._server.posted.get(timeout=0.02)
            except queue.Empty:
                if over:
                    return "died", "", None
        said = self.said()
        self.stop()
        raise TimeoutError(f"the function did not answer within {timeout:.0f} s; it said:\n{said}")
