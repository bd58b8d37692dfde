"""What AWS does where moto 5.2.5 does something else, one module per subject.

moto is a good stand-in for AWS, but in the points listed here it is kinder or cruder than the real thing, and a program
that is wrong (or right) would look the other way round. Each patch says first what moto does, then what AWS does.
`install()` is called once by the emulator; nothing else in the tests changes moto's code.
"""

from aws_behaviour import clusters, filters, interfaces, lookups, pages  # noqa: F401
from aws_behaviour import prefix_lists, rule_changes, rules, topics, vpcs  # noqa: F401
from aws_behaviour.pages import PAGE, position
from aws_behaviour.patching import install
from aws_behaviour.prefix_lists import HELD

__all__ = ["HELD", "PAGE", "install", "position"]
