"""What reads of security group rules show to the guard: not yet the new ones, still the revoked ones, some unreadable."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.exceptions import InvalidSecurityGroupRuleIdNotFoundError


@dataclass
class Veil:
    """A rule that reads do not show yet, or still show after it was revoked, for the next `reads` reads."""

    rule: Any
    reads: float
    shown: bool = field(default=False)


class RuleViews:
    """How the answers of DescribeSecurityGroupRules differ from the truth."""

    def __init__(self) -> None:
        self._veils: list[Veil] = []
        self._garbled: dict[str, dict[str, Any]] = {}

    def draw(self, rule: Any, reads: float, shown: bool) -> None:
        """For that many reads the rule is not shown, or (`shown`) still shown when it is gone."""
        self._veils.append(Veil(rule, reads, shown))

    def garble(self, rule_id: str, fields: dict[str, Any]) -> None:
        """From now on these fields of the rule are shown instead of its own."""
        self._garbled[rule_id] = fields

    def read(self, backend: Any, describe: Callable, rule_ids: list[str], filters: dict[str, Any]) -> list[Any]:
        """What one read shows; `describe` tells the truth."""
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
        return [self._shown(rule) for rule in [each for each in listed if each.id not in hidden] + called]

    def _shown(self, rule: Any) -> Any:
        fields = self._garbled.get(rule.id)
        if not fields:
            return rule
        # A class of its own, because some fields are properties of moto's.
        shown = copy.copy(rule)
        shown.__class__ = type("GarbledRule", (type(rule),), dict.fromkeys(fields))
        shown.__dict__.update(fields)
        return shown
