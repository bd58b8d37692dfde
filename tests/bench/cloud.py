"""The local AWS: the canned account behind a TLS port for each service, as AWS has a host for each."""

import tempfile
import threading
from pathlib import Path

from canned import REGION, Account
from answers import SERVICES, Answers
from wire import Asked, Listener, Reply, authority

# As the SDKs' variables name the services.
NAMES = {"events": "EVENTBRIDGE"}


class Cloud:
    """All services, as slow as `latency` says (seconds). What was asked stands in `asked`, as it came in."""

    def __init__(self) -> None:
        self.account = Account()
        self.latency = 0.0
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._answers = Answers(self.account)
        self._folder = tempfile.TemporaryDirectory()
        self._trusted, context = authority(Path(self._folder.name))
        self._listeners = {
            name: Listener(name, self._answer, tls=context, latency=lambda: self.latency) for name in SERVICES
        }

    def _answer(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
        return self._answers.answer(asked)

    @property
    def unknown(self) -> list[str]:
        """What was asked that the canned account does not know."""
        return self._answers.unknown

    @property
    def connections(self) -> int:
        """How many were made so far."""
        return sum(each.accepted for each in self._listeners.values())

    @property
    def environment(self) -> dict[str, str]:
        """For a program that uses an SDK of AWS: where the services are, and whom to trust."""
        at = {f"AWS_ENDPOINT_URL_{NAMES.get(name, name.upper())}": each.url for name, each in self._listeners.items()}
        trust = {"SSL_CERT_FILE": str(self._trusted), "AWS_CA_BUNDLE": str(self._trusted)}
        who = {"AWS_ACCESS_KEY_ID": "AKIABENCH00000000000", "AWS_SECRET_ACCESS_KEY": "canned", "AWS_SESSION_TOKEN": "canned"}
        where = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}
        # A service that has no port here is asked for in vain, and never AWS itself.
        return {**at, "AWS_ENDPOINT_URL": self._listeners["ec2"].url, **trust, **who, **where}

    def close(self) -> None:
        for each in self._listeners.values():
            each.close()
        self._folder.cleanup()
