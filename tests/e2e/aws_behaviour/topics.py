"""What SNS refuses."""

from moto.sns.exceptions import InvalidParameterValue as InvalidSnsParameter
from moto.sns.models import SNSBackend

from aws_behaviour.patching import patch


@patch(SNSBackend, "publish")
def _publish(original, self, message, arn, **options):
    # moto: takes line breaks and 100 characters in a subject, and counts a message in characters.
    # AWS: at most 99 characters, nothing that is not printable, a message of 1 to 262,144 bytes.
    subject = options.get("subject")
    if subject is not None and not (0 < len(subject) < 100 and subject.isprintable()):
        raise InvalidSnsParameter("Invalid parameter: Subject")
    if not 0 < len(message.encode()) <= 262144:
        raise InvalidSnsParameter("Invalid parameter: Message too long" if message else "Invalid parameter: Empty message")
    return original(self, message, arn, **options)
