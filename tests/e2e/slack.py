"""A Slack webhook that answers what a test wants, on loopback."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Says:
    """One answer. `after`: seconds until it comes."""

    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0


class Hook(ThreadingHTTPServer):
    """Gives these answers in order, then `ok` for ever, and keeps what was posted and when."""

    daemon_threads = True
    TOKEN = "T0SECRETB0SECRETxyz"

    def __init__(self, *answers: Says) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.posts: list[dict[str, Any]] = []
        self.times: list[float] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/{self.TOKEN}"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.posts.append(json.loads(body))
        self.server.times.append(time.monotonic())
        says = self.server.answers.pop(0) if self.server.answers else Says()
        time.sleep(says.after)
        try:
            self.send_response(says.status)
            for name, value in {**says.headers, "Content-Length": str(len(says.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(says.body.encode())
        except ConnectionError:
            self.close_connection = True  # the guard did not wait

    def log_message(self, *_: Any) -> None:
        pass
