"""The emulated AWS: moto in this process behind HTTP, what the guard asked of it, and what goes wrong on demand.

The server listens on a free loopback port; the program under test reaches it through `AWS_ENDPOINT_URL`. Requests that are
signed with the harness's own access key are the test's: they are neither recorded nor disturbed.
"""

import contextvars
import copy
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2 import ec2_backends
from moto.ec2.exceptions import InvalidSecurityGroupRuleIdNotFoundError
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.sns import sns_backends

import aws_behaviour

ACCOUNT = "123456789012"
REGION = "us-east-1"
HARNESS_KEY = "AKIAHARNESS000000000"
GUARD_KEY = "AKIAGUARD00000000000"
LOOKS = ("Describe", "Get", "List", "Search")
# they change nothing that the guard watches over
HARMLESS = {"Publish", "AssumeRole", "BatchGetItem", "PutItem"}


@dataclass
class Request:
    """One request of the guard, with the monotonic times at which its handling began and ended."""

    service: str
    action: str
    params: dict[str, Any]
    start: float
    end: float = float("inf")

    @property
    def mutating(self) -> bool:
        return not self.action.startswith(LOOKS) and self.action not in HARMLESS


@dataclass
class Disturbance:
    """What happens to requests of one action: an error, a delay, a dropped connection, a hook before or after.

    `drop` loses the request before it is carried out, `lose` loses the answer afterwards.
    """

    action: str
    when: Callable[[dict[str, Any]], bool] = lambda _params: True
    times: float = float("inf")
    error: str | None = None
    status: int = 400
    delay: float = 0
    drop: bool = False
    lose: bool = False
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None


@dataclass
class Message:
    """One message published to a topic."""

    subject: str | None
    text: str
    attributes: dict[str, str]


@dataclass
class Veil:
    """A rule that reads do not show yet, or still show after it was revoked, for the next `reads` reads."""

    rule: Any
    reads: float
    shown: bool = field(default=False)


_asked_by_guard = contextvars.ContextVar("asked_by_guard", default=False)


class Emulator:
    """One emulated account in one region, reachable over HTTP at `url`."""

    def __init__(self) -> None:
        aws_behaviour.install()
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # thousands of images nobody asks for, at every reset
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._lock = threading.RLock()  # moto's models are not made for threads
        self._listen()
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self.url = "http://{}:{}".format(*self._server.get_host_and_port())
        self.reset()
        gc.freeze()  # moto and botocore keep large tables: walking them again and again costs half of a seeding

    def stop(self) -> None:
        self._server.stop()

    def reset(self) -> None:
        """An empty account, nothing recorded, nothing disturbed."""
        with self._lock:
            moto_api_backend.reset()
            self.requests: list[Request] = []
            self.latency = 0.0  # seconds added to every request of the guard
            self._disturbances: list[Disturbance] = []
            self._veils: list[Veil] = []
            self.page_size = 1000

    def keep(self) -> Callable[[], None]:
        """Keep EC2 as it is. What this returns puts it back as often as it is called, with the same ids."""
        tables = ("groups", "tags", "enis", "reservations", "managed_prefix_lists")

        def copied(table: Any) -> Any:
            other = copy.copy(table)
            other.update({key: copy.copy(value) for key, value in table.items() if isinstance(value, dict)})
            return other

        with self._lock:
            kept = {name: copied(getattr(self.backend, name)) for name in tables}
            groups = [group for vpc in self.backend.groups.values() for group in vpc.values()]
            rules = [(group, list(group.ingress_rules), list(group.egress_rules)) for group in groups]
            # A rule that is modified stays the same object.
            contents = [(rule, dict(rule.__dict__)) for _, *lists in rules for rule in (*lists[0], *lists[1])]

        def put_back() -> None:
            with self._lock:
                for name, table in kept.items():
                    setattr(self.backend, name, copied(table))
                for group, ingress, egress in rules:
                    group.ingress_rules, group.egress_rules = list(ingress), list(egress)
                for rule, content in contents:
                    rule.__dict__ = dict(content)
                for topic in sns_backends[ACCOUNT][REGION].topics.values():
                    topic.sent_notifications = []
                self.forget()

        return put_back

    # --- the test's hands ---

    @cached_property
    def ec2(self) -> Any:
        return self.client("ec2")

    @cached_property
    def eks(self) -> Any:
        return self.client("eks")

    @cached_property
    def sns(self) -> Any:
        return self.client("sns")

    @cached_property
    def dynamodb(self) -> Any:
        return self.client("dynamodb")

    def client(self, service: str, key: str = HARNESS_KEY) -> Any:
        """A boto3 client of the emulated account. With `GUARD_KEY` its requests count as the guard's."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key="emulated",
            config=Config(retries={"total_max_attempts": 1}),
        )

    @property
    def backend(self) -> Any:
        """moto's EC2 model, for what no API call can make: AWS-owned interfaces."""
        return ec2_backends[ACCOUNT][REGION]

    @property
    def page_size(self) -> int:
        return aws_behaviour.PAGE.size

    @page_size.setter
    def page_size(self, size: int) -> None:
        aws_behaviour.PAGE.size = size

    def messages(self, topic_arn: str) -> list[Message]:
        """What was published to the topic, in order."""
        sent = sns_backends[ACCOUNT][REGION].topics[topic_arn].sent_notifications
        return [
            Message(subject, text, {name: value["Value"] for name, value in (attributes or {}).items()})
            for _, text, subject, attributes, _ in list(sent)
        ]

    # --- what the guard asked ---

    def asked(self, *actions: str) -> list[Request]:
        """The requests recorded so far, all or those of the given actions."""
        return [request for request in self.requests if not actions or request.action in actions]

    @property
    def mutations(self) -> list[Request]:
        return [request for request in self.requests if request.mutating]

    def forget(self) -> None:
        """Forget the requests recorded so far."""
        self.requests = []

    # --- what goes wrong ---

    def on(self, action: str, **what: Any) -> Disturbance:
        """Disturb the next requests of an action; see `Disturbance` for what can happen. The first match wins."""
        disturbance = Disturbance(action, **what)
        self._disturbances.append(disturbance)
        return disturbance

    def calm(self) -> None:
        """End all disturbances."""
        self._disturbances = []

    def linger(self, rule_id: str, reads: float) -> None:
        """Once revoked, the rule is still listed for that many reads."""
        self._veils.append(Veil(self._rule(rule_id), reads, shown=True))

    def hide(self, rule_id: str, reads: float) -> None:
        """The rule exists, but the next reads do not list it yet."""
        self._veils.append(Veil(self._rule(rule_id), reads, shown=False))

    def _rule(self, rule_id: str) -> Any:
        groups = [group for vpc in self.backend.groups.values() for group in vpc.values()]
        return next(rule for group in groups if (rule := group.get_rule(rule_id)))

    # --- inside ---

    def _listen(self) -> None:
        """Stand between the HTTP server and moto's handlers: every request of every service passes `call_action`."""
        handle, describe = BaseResponse.call_action, SecurityGroupBackend.describe_security_group_rules

        def call_action(response: Any) -> Any:
            if GUARD_KEY not in response.headers.get("Authorization", ""):
                with self._lock:
                    return handle(response)
            _asked_by_guard.set(True)
            return self._answer(response, handle)

        def describe_rules(backend: Any, rule_ids: list[str], filters: dict[str, Any]) -> list[Any]:
            if not _asked_by_guard.get():
                return describe(backend, rule_ids, filters)
            return self._describe_behind_veils(backend, describe, rule_ids, filters)

        BaseResponse.call_action = call_action
        SecurityGroupBackend.describe_security_group_rules = describe_rules

    def _answer(self, response: Any, handle: Callable[[Any], Any]) -> Any:
        action = response._get_action()
        response.parse_parameters(response.normalized_request)
        request = Request(response.service_name, action, dict(response.params), time.monotonic())
        with self._lock:
            self.requests.append(request)
            disturbance = next(
                (d for d in self._disturbances if d.times > 0 and d.action == action and d.when(request.params)),
                Disturbance(action),
            )
            disturbance.times -= 1

        def hang_up() -> None:
            response.normalized_request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError("dropped on purpose")

        try:
            time.sleep(self.latency + disturbance.delay)
            disturbance.before()
            if disturbance.drop:
                hang_up()
            if disturbance.error:
                # moto reads the service of an error from the module of its class
                kind = type("Wanted", (ServiceException,), {"__module__": f"moto.{request.service}.exceptions"})
                _, headers, body = response.serialized(ActionResult(kind(disturbance.error, "as the test wants it")))
                return disturbance.status, headers, body
            with self._lock:
                answer = handle(response)
            disturbance.after()
            if disturbance.lose:
                hang_up()
            return answer
        finally:
            request.end = time.monotonic()

    def _describe_behind_veils(
        self, backend: Any, describe: Callable, rule_ids: list[str], filters: dict[str, Any]
    ) -> list[Any]:
        drawn = [veil for veil in self._veils if veil.reads > 0]
        hidden = {veil.rule.id for veil in drawn if not veil.shown}
        groups = [group for vpc in backend.groups.values() for group in vpc.values()]
        ghosts = [veil.rule for veil in drawn if veil.shown and not any(group.get_rule(veil.rule.id) for group in groups)]
        for veil in drawn:
            veil.reads -= veil.rule in ghosts or not veil.shown
        if missing := hidden & set(rule_ids):
            raise InvalidSecurityGroupRuleIdNotFoundError(missing.pop())
        ghost_ids = {ghost.id for ghost in ghosts}
        wanted = [rule_id for rule_id in rule_ids if rule_id not in ghost_ids]
        listed = [] if rule_ids and not wanted else describe(backend, wanted, dict(filters))
        called = [ghost for ghost in ghosts if (not rule_ids or ghost.id in rule_ids) and ghost.matches_filters(filters)]
        return [rule for rule in listed if rule.id not in hidden] + called


def waves(requests: list[Request]) -> list[list[Request]]:
    """The requests by the number of round trips that had to be over before each: what ran at the same time is one wave."""
    found: list[list[Request]] = []
    for request in sorted(requests, key=lambda each: each.start):
        level = sum(any(earlier.end <= request.start for earlier in wave) for wave in found)
        found += [[]] if level == len(found) else []
        found[level].append(request)
    return found
