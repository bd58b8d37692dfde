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

    pub(super) fn rules_of(&self, group: &str) -> Vec<Rule> {
        self.rules.iter().filter(|(id, _)| id == group).map(|(_, rule)| rule.clone()).collect()
    }
}
