"""An event is handled although one of the calls that it takes is slow."""

import pytest

from slow_calls import SCENARIOS, calls_of, play, slowed_in_turn, table


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_an_event_asks_before_its_rule_goes_is_known(aws, scenario):
    run = play(aws, SCENARIOS[scenario])
    assert run.gone, run.ending
    names = calls_of(run)
    assert {"ec2:DescribeSecurityGroupRules", "ec2:RevokeSecurityGroupIngress"} <= set(names)
    assert set(run.calls) == set(names) - {"ec2:RevokeSecurityGroupIngress"}


def test_no_call_may_be_so_fast_that_the_others_rely_on_it(aws):
    runs = slowed_in_turn(aws, SCENARIOS["managed-node-group"], 0.3)
    assert len(runs) > 5
    for name, run in runs.items():
        if name != "none":
            slowed = [request for request in run.requests if request.name == name]
            assert min(request.end - request.start for request in slowed) >= 0.3, name
    assert all(run.gone for run in runs.values()), table(runs)
