"""Pages: how long they are, how they are cut, and the tokens that lead through them."""

import base64
import binascii
from dataclasses import dataclass

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidParameterCombination, InvalidParameterValue
from moto.ec2.responses import EC2Response
from moto.eks.exceptions import InvalidParameterException
from moto.eks.responses import EKSResponse

from aws_behaviour.large_answers import written
from aws_behaviour.patching import patch


@dataclass
class Paging:
    """How answers are cut. Tests make pages short, so that a program which reads one page fails."""

    size: int = 1000  # most items in one answer
    cut_before_filter: bool = False  # EC2 may: then a page has fewer items than asked for, or none, and yet a token
    empty_last_token: bool = False  # EC2's last page may have an empty `<nextToken></nextToken>`, which is no token


PAGE = Paging()


def token(start, page):
    """The opaque token of the page with that number (the first is 1), which starts at that item."""
    return base64.b64encode(f"{start}/{page}".encode()).decode()


def position(token):
    """Where the page of a token starts, and its number. Without a token: the first page. Raises ValueError."""
    if not token:
        return 0, 1
    try:
        start, page = base64.b64decode(token, validate=True).decode().split("/")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(token) from error
    return int(start), int(page)


# --- EC2 ------------------------------------------------------------------------------------------------------------------


def paged(action, items, ids=None, smallest=5, largest=1000):
    """Let the EC2 action answer in pages. `ids`: the parameter beside which there are none, and MaxResults is refused."""

    # moto: ignores MaxResults and NextToken. AWS: pages, and refuses MaxResults beside a list of ids.
    @patch(EC2Response, action)
    def page(original, response):
        size, sent = response._get_param("MaxResults"), response._get_param("NextToken")
        whole = bool(ids and response._get_param(ids))
        if size is not None and whole:
            raise InvalidParameterCombination(f"The parameter {ids} cannot be used with the parameter maxResults")
        if size is not None and not smallest <= int(size) <= largest:
            raise InvalidParameterValue(f"Value ( {size} ) for parameter maxResults is invalid.")
        try:
            start, number = position(sent)
        except ValueError:
            raise EC2ClientError("InvalidNextToken", f"The token '{sent}' is invalid") from None
        result, everything, kept = _read(original, response, items)
        end = len(everything) if whole else start + min(int(size or largest), PAGE.size)
        rest = token(end, number + 1) if end < len(everything) else "" if PAGE.empty_last_token else None
        shown = [each for each in everything[start:end] if kept is None or _identity(each) in kept]
        return written(action, shown, rest) or ActionResult({**result, items: shown, "NextToken": rest})

    return page


def _read(original, response, items):
    """The answer, what is cut into pages, and what of it passes the filters (None: all of it)."""
    asked = {name: response.params.pop(name, None) for name in ("MaxResults", "NextToken")}
    # moto's DescribeInstances answers 100 of what there is
    response.params["MaxResults"] = "1000000"
    try:
        result = original(response).result
        found = list(result[items] or [])
        if not PAGE.cut_before_filter or not response.params.get("Filters"):
            return result, found, None
        filters = response.params.pop("Filters")
        everything = list(original(response).result[items] or [])
        response.params["Filters"] = filters
        kept = {_identity(each) for each in found}
        narrowed = {_identity(each): each for each in found}
        return result, [narrowed.get(_identity(each), each) for each in everything], kept
    finally:
        response.params.update(asked)


def _identity(item):
    return (item["GroupId"], item.get("VpcId")) if isinstance(item, dict) else item.id


paged("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleIds")
paged("describe_security_groups", "SecurityGroups", "GroupIds")
paged("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceIds")
paged("describe_instances", "Reservations", "InstanceIds")
paged("describe_vpcs", "Vpcs", "VpcIds")


# --- EKS ------------------------------------------------------------------------------------------------------------------


def _listed(action, key, names):
    # moto: a page is as large as was asked for, tokens are names, a cluster that is not there is an internal error.
    # AWS: at most 100 names, tokens that say nothing, errors with a name.
    @patch(EKSResponse, action)
    def page(_, response):
        size = response._get_int_param("maxResults", 100)
        if not 1 <= size <= 100:
            raise InvalidParameterException(message=f"maxResults must be between 1 and 100, not {size}")
        try:
            start, number = position(response._get_param("nextToken"))
        except ValueError:
            raise InvalidParameterException(message="The token is invalid") from None
        everything = sorted(names(response))
        end = start + min(size, PAGE.size)
        rest = token(end, number + 1) if end < len(everything) else None
        return ActionResult({key: everything[start:end], "nextToken": rest})


_listed("list_clusters", "clusters", lambda response: response.eks_backend.clusters)
_listed(
    "list_nodegroups", "nodegroups", lambda asked: asked.eks_backend.describe_cluster(asked._get_param("name")).nodegroups
)
