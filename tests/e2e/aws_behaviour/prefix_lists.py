"""Customer-managed prefix lists: versions, states, pages of at most 100.

A modification takes a while: its answer and DescribeManagedPrefixLists say `modify-in-progress` with the old version, then
`modify-complete` with the next. Here it is complete at once, unless `HELD.modifications` holds it until `finish`.
"""

import copy
from types import SimpleNamespace

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue
from moto.ec2.models.managed_prefixes import ManagedPrefixList, ManagedPrefixListBackend
from moto.ec2.responses import EC2Response

from aws_behaviour.pages import paged
from aws_behaviour.patching import patch

HELD = SimpleNamespace(modifications=False)


def existing(backend, list_id):
    """The list; an error if there is none."""
    # moto: one that was deleted is kept. AWS: it is gone soon.
    listed = backend.managed_prefix_lists.get(list_id)
    if listed is None or listed.state == "delete-complete":
        raise EC2ClientError("InvalidPrefixListID.NotFound", f"The prefix list ID '{list_id}' does not exist")
    return listed


@patch(ManagedPrefixListBackend, "describe_managed_prefix_lists")
def _described(original, self, prefix_list_ids=None, filters=None):
    # moto: leaves out the ids that it does not know. AWS: an error.
    for list_id in prefix_list_ids or []:
        existing(self, list_id)
    return original(self, prefix_list_ids, filters)


@patch(EC2Response, "get_managed_prefix_list_entries")
def _entries(_, response):
    # moto: an unknown list or version is an empty one, and the newest entries are shown before they are in force.
    # AWS: errors (what the one about the version is called, we do not know), and the version that is described.
    listed = existing(response.ec2_backend, response._get_param("PrefixListId"))
    version = int(response._get_param("TargetVersion") or listed.version or 1)
    if version not in listed.entries and (listed.entries or version != 1):
        raise InvalidParameterValue(f"The prefix list {listed.id} has no version {version}")
    return ActionResult({"Entries": listed.entries.get(version) or []})


@patch(ManagedPrefixListBackend, "modify_managed_prefix_list")
def _modify(_, self, add_entry, remove_entry, prefix_list_id=None, current_version=None, prefix_list_name=None):
    # moto: forgets the name that is not given again, takes any version, and is never in between.
    # AWS: keeps it, refuses a version that is not the current one, and refuses while a modification is in progress.
    listed = existing(self, prefix_list_id)
    if listed.state.endswith("-in-progress"):
        raise EC2ClientError("IncorrectState", f"The request cannot be completed in the current state ({listed.state}).")
    if current_version not in (None, listed.version):
        raise EC2ClientError("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")
    listed.prefix_list_name = prefix_list_name or listed.prefix_list_name
    if add_entry or remove_entry:
        replaced = {entry["Cidr"] for entry in [*add_entry, *remove_entry]}
        kept = [entry for entry in listed.entries.get(listed.version) or [] if entry["Cidr"] not in replaced]
        listed.next_entries = kept + list(add_entry)
    listed.state = "modify-in-progress"
    answer = copy.copy(listed)
    if not HELD.modifications:
        finish(listed)
    return answer


def finish(listed: ManagedPrefixList, failed: bool = False) -> None:
    """End the modification that is in progress: the next version is in force, or nothing has changed."""
    entries, listed.next_entries = getattr(listed, "next_entries", None), None
    listed.state = "modify-failed" if failed else "modify-complete"
    if entries is not None and not failed:
        listed.version += 1
        listed.entries = {**listed.entries, listed.version: entries}


paged("describe_managed_prefix_lists", "PrefixLists", smallest=1, largest=100)
paged("get_managed_prefix_list_entries", "Entries", smallest=1, largest=100)
