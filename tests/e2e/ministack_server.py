"""A second emulated AWS, which wires: it deploys templates, carries events to functions, messages to subscribers and
queues to functions, and runs our program as Lambda would. Of security groups it knows too little, so its functions ask
moto of those.

It is a process of its own, from an environment of its own (`make prove` installs it), on loopback alone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from emulator import ACCOUNT, REGION

PROGRAM = Path(__file__).resolve().parents[2] / ".tools/prove/bin/ministack"
# What moto answers to the functions, as `aws_behaviour` has taught it.
OF_MOTO = ("EC2", "EKS", "CLOUDTRAIL")


class Ministack:
    """Running from its making until `stop`."""

    def __init__(self, moto: str, folder: Path) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "LAMBDA_EXECUTOR": "local",
            "AWS_ENDPOINT_URL": self.url,  # its functions inherit these
            **{f"AWS_ENDPOINT_URL_{service}": moto for service in OF_MOTO},
        }
        self.log = folder / "ministack.log"
        with self.log.open("wb") as log:
            # In a group of its own, with the programs that it starts: they may outlive it.
            self._process = subprocess.Popen(
                [PROGRAM], env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def client(self, service: str) -> Any:
        # It takes a key of twelve digits for the account.
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "emulated"}
        patient = Config(read_timeout=120, retries={"total_max_attempts": 1})
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, config=patient, **keys)

    def stop(self) -> None:
        for each in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, each)
                self._process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"ministack did not start: {self.log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
