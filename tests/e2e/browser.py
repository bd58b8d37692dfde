"""A headless Chromium, spoken to over a pair of pipes: no driver and no package is needed."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

# Debian's name, and others'.
NAMES = ["chromium", "chromium-browser", "google-chrome"]
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
]
# What Chromium says of a page that we want to hear of.
TOLD = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.requestWillBeSent"}


def _out_of_the_way(of: int) -> int:
    """The same end of a pipe under a number that is neither 3 nor 4."""
    moved = fcntl.fcntl(of, fcntl.F_DUPFD, 10)
    os.close(of)
    return moved


class Browser:
    """One page of one browser."""

    def __init__(self, profile: Path, page: Path, width: int = 1280, height: int = 900) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        to_read, to_write = _out_of_the_way(to_read), _out_of_the_way(to_write)
        command = [PROGRAM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        # Chromium reads what it is told from 3 and answers on 4.
        shell = f"exec \"$@\" 3<&{to_read} 4>&{to_write} {to_read}<&- {to_write}>&-"
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "browser", *command], pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._rest = b""
        self._number = 0
        self.told: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Runtime", "Log", "Network", "Page"]:
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            if answer.get("method") in TOLD:
                self.told.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._read, 1 << 16)
            assert piece, "the browser has stopped"
            self._rest += piece
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def run(self, script: str) -> Any:
        """What an expression is on the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        for _ in range(200):
            if self.run(script):
                return
            self.run("new Promise((done) => setTimeout(done, 50))")
        raise AssertionError(f"never: {script}")

    def requests(self) -> list[str]:
        """Everything that was asked for beside the page itself."""
        asked = [one["params"]["request"]["url"] for one in self.told if one["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(("file:", "about:", "data:"))]

    def complaints(self) -> list[Any]:
        return [one["params"] for one in self.told if one["method"] != "Network.requestWillBeSent"]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._write)
        os.close(self._read)
