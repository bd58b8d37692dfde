//! Groups as EC2 shows them, with everything attached to them, before anybody says what they are to a cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::facts::{GroupFacts, Instance, Interface};
use crate::model::region::Addresses;
use crate::model::rule::Rule;

/// Groups with everything they are attached to, unjudged.
#[derive(Clone, Debug)]
pub(super) struct RawState {
    pub(super) groups: Vec<GroupFacts>,
    pub(super) rules: Vec<(String, Rule)>,
    /// When EC2 answered with the rules.
    pub(super) rules_at: Timestamp,
    pub(super) interfaces: Vec<Interface>,
    pub(super) instances: Vec<Instance>,
    /// IPv4 and IPv6 ranges of every VPC, by id.
    pub(super) ranges: BTreeMap<String, Addresses>,
}

/// Whether this is the interface, or one of the instance.
pub(super) fn is_of(interface: &Interface, attachment: &str) -> bool {
    interface.id == attachment || interface.instance.as_deref() == Some(attachment)
}

impl RawState {
    /// As it was before groups were put on the attachment.
    pub(super) fn without(&self, attachment: &str) -> Self {
        let interfaces: Vec<Interface> =
            self.interfaces.iter().filter(|interface| !is_of(interface, attachment)).cloned().collect();
        let groups_of = |instance: &Instance| -> Vec<String> {
            let own = interfaces.iter().filter(|interface| interface.instance.as_ref() == Some(&instance.id));
            own.flat_map(|interface| interface.groups.clone()).collect()
        };
        let instances = self
            .instances
            .iter()
            .map(|instance| Instance { groups: groups_of(instance), ..instance.clone() })
            .collect();
        Self { interfaces, instances, ..self.clone() }
    }

    /// Whether no interface and no instance has the group. All of a group's are read, so none that is not here has it.
    pub(super) fn is_unattached(&self, group: &str) -> bool {
        let has = |groups: &[String]| groups.iter().any(|id| id == group);
        !self.interfaces.iter().any(|interface| has(&interface.groups))
            && !self.instances.iter().any(|instance| has(&instance.groups))
    }

    pub(super) fn rules_of(&self, group: &str) -> Vec<Rule> {
        self.rules.iter().filter(|(id, _)| id == group).map(|(_, rule)| rule.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_unattached_when_neither_an_interface_nor_an_instance_has_it() {
        let groups = |id: &str| vec![id.to_owned()];
        let raw = RawState {
            groups: Vec::new(),
            rules: Vec::new(),
            rules_at: Timestamp::UNIX_EPOCH,
            interfaces: vec![Interface { groups: groups("sg-1"), ..Interface::default() }],
            instances: vec![Instance { groups: groups("sg-2"), ..Instance::default() }],
            ranges: BTreeMap::new(),
        };
        assert_eq!(["sg-1", "sg-2", "sg-3"].map(|group| raw.is_unattached(group)), [false, false, true]);
    }
}
