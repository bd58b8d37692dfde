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
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from moto import backends
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2 import ec2_backends
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.sns import sns_backends

import accounts
import aws_behaviour
import kept_connections
from disturbances import DENIED, Disturbance, TokenBucket
from recorded import Request
from rule_views import RuleViews

ACCOUNT = "123456789012"
REGION = "us-east-1"
HARNESS_KEY = "AKIAHARNESS000000000"
GUARD_KEY = "AKIAGUARD00000000000"


@dataclass
class Message:
    """One message published to a topic."""

    subject: str | None
    text: str
    attributes: dict[str, str]


_asked_by_guard = contextvars.ContextVar("asked_by_guard", default=False)


def _setting(owner: Any, name: str) -> property:
    """A setting of the patches, which all emulators of the process share."""
    return property(lambda _: getattr(owner, name), lambda _, value: setattr(owner, name, value))


class Emulator:
    """One emulated account in one region, reachable over HTTP at `url`."""

    def __init__(self) -> None:
        aws_behaviour.install()
        kept_connections.install()
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # thousands of images nobody asks for, at every reset
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._lock = threading.RLock()  # moto's models are not made for threads
        self._over = threading.Event()
        self._seeds: dict[Any, tuple[Any, Callable[[], None]]] = {}
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
            self.granted: frozenset[str] | None = None  # what the guard may call (`ec2:DescribeVpcs`); `None`: everything
            self.calm()
            self._rule_views = RuleViews()
            self.page_size = 1000
            self.cut_before_filter = self.empty_last_token = self.hold_modifications = False
            self._over.set()  # what still waits is of another test
            self._over = threading.Event()

    def seeded(self, make: Callable[..., Any], *given: Any) -> Any:
        """What `make` makes of an empty account and what is `given`. It is made once; from then on it is put back, with the
        same ids."""
        self.reset()
        if (make, given) not in self._seeds:
            made = make(self, *given)
            self._seeds[make, given] = made, accounts.keep()
            self.reset()
        made, put_back = self._seeds[make, given]
        with self._lock:
            put_back()
        return copy.deepcopy(made, {id(self): self})

    def keep(self) -> Callable[[], None]:
        """Keep everything as it is. What this returns puts it back as often as it is called, with the same ids; nothing has
        been asked or said then."""
        with self._lock:
            kept = accounts.keep()

        def put_back() -> None:
            with self._lock:
                kept()
                self.forget_messages()
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

    def client(self, service: str, key: str = HARNESS_KEY, checked: bool = True, region: str = REGION) -> Any:
        """A boto3 client of the emulated account. With `GUARD_KEY` its requests count as the guard's.

        `checked`: by boto3.
        """
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key="emulated",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=checked),
        )

    @property
    def backend(self) -> Any:
        """moto's EC2 model, for what no API call can make: AWS-owned interfaces."""
        return ec2_backends[ACCOUNT][REGION]

    page_size = _setting(aws_behaviour.PAGE, "size")
    cut_before_filter = _setting(aws_behaviour.PAGE, "cut_before_filter")
    empty_last_token = _setting(aws_behaviour.PAGE, "empty_last_token")
    # changes of prefix lists stay `modify-in-progress` until `World.finish_list`
    hold_modifications = _setting(aws_behaviour.HELD, "modifications")

    def messages(self, topic_arn: str) -> list[Message]:
        """What was published to the topic, in order."""
        sent = sns_backends[ACCOUNT][REGION].topics[topic_arn].sent_notifications
        return [
            Message(subject, text, {name: value["Value"] for name, value in (attributes or {}).items()})
            for _, text, subject, attributes, _ in list(sent)
        ]

    def forget_messages(self) -> None:
        """Forget what was published so far, to any topic."""
        for topic in sns_backends[ACCOUNT][REGION].topics.values():
            topic.sent_notifications = []

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

    def slow(self, action: str, *seconds: float) -> None:
        """Answers to the action take so much longer: the first page, the second, and so on; the last holds for the rest."""
        self._slow[action] = seconds

    def limit(self, *names: str, capacity: float, refill: float, error: str | None = None) -> None:
        """The guard may make `capacity` requests at once and `refill` more a second, of these actions or services
        together.
        """
        self._buckets.append(TokenBucket(names, capacity, refill, error))

    def throttle_reads(self, every: int = 2) -> Disturbance:
        """Throttle the first of so many reads of each action, so that what is asked once is refused once."""
        return self.on("*", every=every, reads_only=True, throttled=True)

    def calm(self) -> None:
        """End all disturbances, delays of actions and limits."""
        self._disturbances: list[Disturbance] = []
        self._slow: dict[str, tuple[float, ...]] = {}
        self._buckets: list[TokenBucket] = []

    def linger(self, rule_id: str, reads: float) -> None:
        """Once revoked, the rule is still listed for that many reads."""
        self._rule_views.draw(self._rule(rule_id), reads, shown=True)

    def hide(self, rule_id: str, reads: float) -> None:
        """The rule exists, but the next reads do not list it yet."""
        self._rule_views.draw(self._rule(rule_id), reads, shown=False)

    def garble(self, rule_id: str, **fields: Any) -> None:
        """Reads show the rule with these fields instead, such as `ip_protocol="carp?"`, `cidr_ipv4="10.0.0.0/99"` or
        None.
        """
        self._rule_views.garble(rule_id, fields)

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
            return self._rule_views.read(backend, describe, rule_ids, filters)

        # moto reads its own folder for every request, a twentieth of the time that a request takes.
        modules = frozenset(backends.list_of_moto_modules())
        backends.list_of_moto_modules = lambda: modules
        BaseResponse.call_action = call_action
        SecurityGroupBackend.describe_security_group_rules = describe_rules

    def _answer(self, response: Any, handle: Callable[[Any], Any]) -> Any:
        action = response._get_action()
        response.parse_parameters(response.normalized_request)
        request = Request(response.service_name, action, dict(response.params), time.monotonic())
        request.page = _page(request)
        with self._lock:
            self.requests.append(request)
            disturbance = next((each for each in self._disturbances if each.happens_to(request)), Disturbance(action))
            refusals = [bucket.refusal(request) for bucket in self._buckets if bucket.limits(request)]
            refusal = self._denial(request) or next(filter(None, refusals), None) or disturbance.refusal(request)
            slow = self._slow.get(action, (0.0,))
            delay = self.latency + disturbance.delay + (0 if any(refusals) else slow[min(request.page, len(slow)) - 1])
            over = self._over

        def hang_up() -> None:
            response.normalized_request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError("dropped on purpose")

        try:
            if delay and over.wait(delay):
                hang_up()
            disturbance.before()
            if disturbance.drop:
                hang_up()
            if refusal:
                request.error, status = refusal
                # moto reads the service of an error from the module of its class
                kind = type("Wanted", (ServiceException,), {"__module__": f"moto.{request.service}.exceptions"})
                _, headers, body = response.serialized(ActionResult(kind(request.error, "as the test wants it")))
                return status, headers, body
            with self._lock:
                answer = handle(response)
            request.size = len(answer[2]) if isinstance(answer, tuple) else len(answer)
            disturbance.after()
            if disturbance.lose:
                hang_up()
            return answer
        finally:
            request.end = time.monotonic()

    def _denial(self, request: Request) -> tuple[str, int] | None:
        """The error of a call that the guard has no right for."""
        if self.granted is None or request.name in self.granted:
            return None
        return DENIED.get(request.service, ("AccessDeniedException", 400))


def _page(request: Request) -> int:
    """Which page of an answer is asked for."""
    try:
        return aws_behaviour.position(request.params.get("NextToken") or request.params.get("nextToken"))[1]
    except ValueError:
        return 1  # it will be refused
