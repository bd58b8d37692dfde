"""What AWS does where moto 5.2.5 does something else, one module per subject.

moto is a good stand-in for AWS, but in the points listed here it is kinder or cruder than the real thing, and a program
that is wrong (or right) would look the other way round. Each patch says first what moto does, then what AWS does.
`install()` is called once by the emulator; nothing else in the tests changes moto's code.
"""

from aws_behaviour import clusters, interfaces, pages, rule_changes, rules, topics  # noqa: F401
from aws_behaviour.pages import PAGE
from aws_behaviour.patching import install

__all__ = ["PAGE", "install"]
