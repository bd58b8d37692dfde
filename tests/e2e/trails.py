"""What brings events to the guard: trails of CloudTrail and its own event rule, and the events of calls that change them."""

from typing import Any

from emulator import REGION, Emulator
from events import Event, event

BUCKET = "audit-bucket"
RULE = "eks-sg-guard"


def make_trail(emulator: Emulator, name: str = "audit", region: str = REGION, **settings: Any) -> str:
    """The ARN of a trail that logs."""
    s3 = emulator.client("s3")
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    cloudtrail = emulator.client("cloudtrail", region=region)
    arn = cloudtrail.create_trail(Name=name, S3BucketName=BUCKET, **settings)["TrailARN"]
    cloudtrail.start_logging(Name=name)
    return arn


class Hands:
    """Somebody who changes trails in their home region, and rules; each call gives its event."""

    def __init__(self, emulator: Emulator, region: str = REGION) -> None:
        self.cloudtrail, self.events = (emulator.client(name, region=region) for name in ("cloudtrail", "events"))

    def trail(self, call: str, name: str = "audit", **request: Any) -> Event:
        """`StopLogging`, `PutEventSelectors`, ..."""
        return self._call(self.cloudtrail, "cloudtrail", call, "TrailName" if "Selectors" in call else "Name", name, request)

    def rule(self, call: str, name: str = RULE, **request: Any) -> Event:
        """`DisableRule`, `RemoveTargets`, ..."""
        return self._call(self.events, "events", call, "Rule" if "Targets" in call else "Name", name, request)

    def _call(self, client: Any, service: str, call: str, label: str, name: str, request: dict[str, Any]) -> Event:
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in call).lstrip("_")
        getattr(client, method)(**{label: name, **request})
        made = event(call, {label[0].lower() + label[1:]: name}, None)
        made["source"], made["detail"]["eventSource"] = f"aws.{service}", f"{service}.amazonaws.com"
        return made
