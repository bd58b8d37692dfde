"""A cluster that is made while the guard is there, and remembers: what was written before it exists is new."""

import pytest

from account import Account
from checks import Guard
from installers import terraform_groups
from state import State
from world import WORLD, allow

SWEEP = {"sweep": True}


@pytest.mark.parametrize("is_swept", [True, False], ids=["swept between", "not swept"])
def test_what_was_written_before_the_cluster_is_closed_when_it_is_there(account: Account, is_swept):
    state = State(account.emulator, account.state_table())
    account.guard = Guard(account, GUARD_STATE_TABLE=state.table)
    account.guard.invoke(SWEEP)
    _, nodes = terraform_groups(account)
    before = account.rules(nodes)
    account.terraform.allows(nodes, allow("tcp", 10250, WORLD))
    [opened] = account.rules(nodes).keys() - before.keys()
    if is_swept:
        account.guard.invoke(SWEEP)
    cluster = account.terraform.creates_cluster(public=False)
    account.terraform.creates_node_group(cluster, [nodes])
    account.guard.invoke(SWEEP)
    assert account.rules(nodes).keys() == before.keys(), opened
