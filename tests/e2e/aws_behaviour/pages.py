"""Pages: how long they are, and the tokens that lead through them."""

import base64
from types import SimpleNamespace

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidParameterCombination, InvalidParameterValue
from moto.ec2.responses import EC2Response

from aws_behaviour.patching import patch

PAGE = SimpleNamespace(size=1000)  # most items in one answer; tests lower it so that a program which reads one page fails


def _paged(action, items, ids=None, smallest=5):
    # moto: ignores MaxResults and NextToken. AWS: pages, and refuses MaxResults beside a list of ids.
    @patch(EC2Response, action)
    def page(original, response):
        size, token = response._get_param("MaxResults"), response._get_param("NextToken")
        if size and ids and response._get_param(ids):
            raise InvalidParameterCombination(f"The parameter {ids} cannot be used with the parameter maxResults")
        if size and not smallest <= int(size) <= 1000:
            raise InvalidParameterValue(f"Value ( {size} ) for parameter maxResults is invalid.")
        for name in ("MaxResults", "NextToken"):
            response.params.pop(name, None)
        result = original(response).result
        everything = list(result[items] or [])
        start = int(base64.b64decode(token)) if token else 0
        end = len(everything) if ids and response._get_param(ids) else start + min(int(size or PAGE.size), PAGE.size)
        rest = base64.b64encode(str(end).encode()).decode() if end < len(everything) else None
        return ActionResult({**result, items: everything[start:end], "NextToken": rest})


_paged("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleIds")
_paged("describe_security_groups", "SecurityGroups", "GroupIds")
_paged("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceIds")
_paged("describe_instances", "Reservations", "InstanceIds")
_paged("describe_vpcs", "Vpcs", "VpcIds")
_paged("describe_managed_prefix_lists", "PrefixLists", smallest=1)


@patch(EC2Response, "get_managed_prefix_list_entries")
def _entries(original, response):
    # moto: an unknown list is an empty one. AWS: an error.
    if response.ec2_backend.get_managed_prefix_list_entries(response._get_param("PrefixListId")) is None:
        message = f"The prefix list ID '{response._get_param('PrefixListId')}' does not exist"
        raise EC2ClientError("InvalidPrefixListID.NotFound", message)
    return original(response)


_paged("get_managed_prefix_list_entries", "Entries", smallest=1)
