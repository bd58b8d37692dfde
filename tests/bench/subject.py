"""A program under measurement, as a Lambda function: its process, what it costs, and the Runtime API that it asks.

Owns: the clocks. A process is started with a clean environment and is the only one that is measured at that time.
"""

import json
import os
import queue
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canned import ACCOUNT, REGION
from wire import Asked, Listener, Reply

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bench"
API = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Program:
    """What is measured under which name, how it is started, and what it promises beyond closing the rule and telling."""

    name: str
    command: list[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    looks_again: bool = False  # reads back that the rule is gone
    keeps_journal: bool = False
    topics: int = 1


class SubjectError(Exception):
    """The program ended or failed; the text is what it said."""


class Subject:
    """A running process of a program."""

    def __init__(self, program: Program, environment: Mapping[str, str]) -> None:
        self._events: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        self._posted: queue.Queue[Asked] = queue.Queue()
        self._handed = 0.0
        self._output = tempfile.TemporaryFile()
        self._api = Listener("runtime", self._answer)
        settings = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": self._api.url.removeprefix("http://"),
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            **environment,
            **program.environment,
        }
        began = time.monotonic()
        self._process = subprocess.Popen(
            program.command,
            cwd=program.folder,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            close_fds=False,  # what is ours is not inherited anyway, and closing it one by one would be measured
        )
        try:
            self.start_seconds = self._next(60).at - began
        except SubjectError:
            self.stop()
            raise

    def _answer(self, asked: Asked) -> Reply | None:
        self._posted.put(asked)
        if asked.method != "GET":
            return Reply(b'{"status":"OK"}', status=202)
        item = self._events.get()
        if item is None:
            return None
        request, payload = item
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 60) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
        }
        self._handed = time.monotonic()
        return Reply(payload, headers=headers)

    def invoke(self, event: Any, timeout: float = 60) -> tuple[float, float]:
        """When the event was handed over and when the answer came. Raises `SubjectError` when it is an error."""
        self._events.put((str(uuid.uuid4()), json.dumps(event).encode()))
        answer = self._next(timeout)
        self._next(timeout)  # it is idle again
        if not answer.path.endswith("/response"):
            raise SubjectError(f"it failed: {answer.body.decode(errors='replace')}\n{self.said()}")
        return self._handed, answer.at

    def _next(self, timeout: float) -> Asked:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                return self._posted.get(timeout=0.5)
            except queue.Empty:
                if self._process.poll() is not None:
                    raise SubjectError(f"it ended with status {self._process.returncode}; it said:\n{self.said()}") from None
        raise SubjectError(f"nothing came within {timeout:.0f} s; it said:\n{self.said()}")

    def said(self) -> str:
        """The end of its log."""
        return os.pread(self._output.fileno(), 1 << 26, 0).decode(errors="replace")[-4000:]

    @property
    def cpu(self) -> float:
        """Seconds of processor time that all its threads have taken, those that ended included."""
        return time.clock_gettime(~self._process.pid << 3 | 2)  # the kernel's number of a process's clock

    @property
    def peak_memory(self) -> int:
        """The most bytes that it had in memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._events.put(None)
        self._api.close()
        self._output.close()
