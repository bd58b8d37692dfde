//! The doors to EC2 and EKS over saved answers: the sweep reads files as it reads an account.
//!
//! What was not saved is an error of the read that would have needed it, so that nothing is taken for empty that is only
//! unknown. Must not: judge, or change anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::facts::{Facts, KnownList};
use super::kind::Kind;
use crate::cluster::marks::{AWS_CLUSTER_TAG, cluster_tag};
use crate::model::error::CloudError;
use crate::model::facts::{
    Cluster, GroupFacts, Instance, Instances, Interface, Interfaces, NodeGroup, NodeGroups, PrefixListFacts, Rules,
    Selector,
};
use crate::model::group::AwsList;
use crate::model::ids::Location;
use crate::model::network::Network;
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Peer, Rule};
use crate::ports::{Clock, Ec2, Eks};

/// One location of the files.
#[derive(Clone)]
pub(crate) struct SavedAws {
    pub(crate) facts: Arc<Facts>,
    pub(crate) location: Location,
}

/// An answer that would be needed, and is not there.
pub(super) fn not_saved(kind: Kind, what: impl Into<String>) -> CloudError {
    CloudError::Failed { action: kind.command().to_owned(), source: what.into().into() }
}

fn unchanged(group: &str) -> CloudError {
    CloudError::Failed { action: format!("a change of {group}"), source: "saved answers change nothing".into() }
}

impl SavedAws {
    fn some<T: Clone>(all: &[T], at: impl IntoIterator<Item = usize>) -> Vec<T> {
        let at: BTreeSet<usize> = at.into_iter().collect();
        at.into_iter().filter_map(|at| all.get(at)).cloned().collect()
    }

    fn instances_of(&self, groups: &[String]) -> Vec<Instance> {
        let at = groups.iter().filter_map(|group| self.facts.instances_of.get(group)).flatten().copied();
        Self::some(&self.facts.instances, at)
    }

    fn groups_with(&self, is_meant: impl Fn(&Peer, Direction) -> bool) -> Vec<String> {
        let has = |rules: &[Rule]| rules.iter().any(|rule| is_meant(&rule.peer, rule.direction));
        self.facts.groups.iter().filter(|(_, known)| has(&known.rules)).map(|(id, _)| id.clone()).collect()
    }

    fn own_cluster(&self, name: &str) -> Option<&Cluster> {
        self.facts.cluster(&self.location, name)
    }
}

#[async_trait]
impl Ec2 for SavedAws {
    async fn groups(&self, selector: &Selector) -> Result<Vec<GroupFacts>, CloudError> {
        let known = |id: &String| self.facts.groups.get(id).map(|known| known.facts.clone());
        Ok(match selector {
            Selector::Ids(ids) => ids.iter().filter_map(known).collect(),
            Selector::Vpcs(vpcs) => {
                vpcs.iter().filter_map(|vpc| self.facts.groups_of.get(vpc)).flatten().filter_map(known).collect()
            }
        })
    }

    /// Nobody asks for it but an event.
    async fn default_vpc_group(&self, _: &str) -> Result<Option<String>, CloudError> {
        Ok(None)
    }

    async fn cluster_groups(&self, vpcs: &[String]) -> Result<Vec<GroupFacts>, CloudError> {
        let mut groups = self.groups(&Selector::Vpcs(vpcs.to_vec())).await?;
        groups.retain(|group| group.tags.contains_key(AWS_CLUSTER_TAG));
        Ok(groups)
    }

    async fn rules(&self, groups: &[String]) -> Result<Rules, CloudError> {
        self.facts.rules_of(groups).map_err(|why| not_saved(Kind::Rules, why))
    }

    async fn interfaces(&self, selector: &Selector) -> Result<Interfaces, CloudError> {
        let Network { interfaces: all, interfaces_of, is_whole, .. } = &self.facts.network;
        let found = match selector {
            Selector::Ids(groups) => {
                let at = groups.iter().filter_map(|group| interfaces_of.get(group)).flatten().copied();
                Self::some(all, at)
            }
            Selector::Vpcs(vpcs) => {
                Self::some(all, vpcs.iter().filter_map(|vpc| self.facts.interfaces_in.get(vpc)).flatten().copied())
            }
        };
        Ok(Interfaces { found, is_complete: *is_whole })
    }

    async fn interfaces_of(&self, attachment: &str) -> Result<Vec<Interface>, CloudError> {
        let is_it =
            |interface: &&Interface| interface.id == attachment || interface.instance.as_deref() == Some(attachment);
        Ok(self.facts.network.interfaces.iter().filter(is_it).cloned().collect())
    }

    async fn groups_using(&self, prefix_list: &str) -> Result<Vec<String>, CloudError> {
        Ok(self.groups_with(|peer, _| peer.prefix_list() == Some(prefix_list)))
    }

    async fn letting_in(&self, groups: &[String]) -> Result<Vec<(String, String)>, CloudError> {
        let mut pairs = Vec::new();
        for whom in groups {
            let lets_in = |peer: &Peer, direction| {
                direction == Direction::Ingress && matches!(peer, Peer::Group { id, .. } if id == whom)
            };
            pairs.extend(self.groups_with(lets_in).into_iter().map(|who| (who, whom.clone())));
        }
        Ok(pairs)
    }

    async fn instances(&self, which: &Instances) -> Result<Vec<Instance>, CloudError> {
        Ok(match which {
            Instances::Witnesses(groups) | Instances::Proofs(groups) | Instances::Peers(groups) => {
                self.instances_of(groups)
            }
            Instances::Ids(ids) => {
                self.facts.instances.iter().filter(|instance| ids.contains(&instance.id)).cloned().collect()
            }
            Instances::Vpcs(vpcs) => {
                let at = vpcs.iter().filter_map(|vpc| self.facts.instances_in.get(vpc)).flatten().copied();
                Self::some(&self.facts.instances, at)
            }
        })
    }

    async fn nodes(&self, cluster: &str, vpc: &str) -> Result<(Vec<Instance>, bool), CloudError> {
        let tag = cluster_tag(cluster);
        let is_one =
            |instance: &&Instance| instance.tags.contains_key(AWS_CLUSTER_TAG) || instance.tags.contains_key(&tag);
        let here = self.facts.instances_in.get(vpc).into_iter().flatten();
        let here = here.filter_map(|at| self.facts.instances.get(*at));
        Ok((here.filter(is_one).cloned().collect(), self.facts.has_instances))
    }

    /// Those that were not saved show in interfaces of other VPCs.
    async fn associations(&self, _: &Selector) -> Result<BTreeMap<String, BTreeSet<String>>, CloudError> {
        Ok(self.facts.associations.clone())
    }

    async fn vpc_ranges(&self) -> Result<BTreeMap<String, Addresses>, CloudError> {
        if self.facts.has_vpcs || !self.facts.vpcs.is_empty() {
            return Ok(self.facts.vpcs.clone());
        }
        Err(not_saved(Kind::Vpcs, "it was not saved"))
    }

    async fn prefix_list(&self, id: &str) -> Result<PrefixListFacts, CloudError> {
        let entries = |why: String| {
            let action = Kind::Entries.command().replace("ID", id);
            CloudError::Failed { action, source: why.into() }
        };
        let Some(KnownList { owner, name, state, entries: known }) = self.facts.lists.get(id) else {
            return Err(entries("it was not saved".to_owned()));
        };
        if state.ends_with("-in-progress") && state != "delete-in-progress" {
            return Err(CloudError::ListChanging { state: state.clone() });
        }
        let is_by_name = AwsList::from_ec2(owner, name).is_some();
        match known {
            Some(known) => Ok(known.clone()),
            None if is_by_name => Ok(Addresses::default()),
            None => Err(entries("it was not saved, or not all of it".to_owned())),
        }
        .map(|entries| PrefixListFacts { owner: owner.clone(), name: name.clone(), entries })
    }

    async fn entries_of_version(&self, list: &str, version: i64) -> Result<Addresses, CloudError> {
        Err(not_saved(Kind::Entries, format!("version {version} of `{list}` is not asked for by an audit")))
    }

    async fn revoke(&self, group: &str, _: Direction, _: &[String]) -> Result<(), CloudError> {
        Err(unchanged(group))
    }

    async fn modify(&self, group: &str, _: &[Rule]) -> Result<(), CloudError> {
        Err(unchanged(group))
    }
}

#[async_trait]
impl Eks for SavedAws {
    async fn names(&self) -> Result<Vec<String>, CloudError> {
        Ok(self.facts.clusters_at.get(&self.location).into_iter().flatten().map(|(name, _)| name.clone()).collect())
    }

    async fn cluster(&self, name: &str) -> Result<Option<Cluster>, CloudError> {
        Ok(self.own_cluster(name).map(|cluster| Cluster { node_groups: Vec::new(), ..cluster.clone() }))
    }

    async fn node_groups(&self, cluster: &str, which: &NodeGroups) -> Result<Vec<NodeGroup>, CloudError> {
        let all = self.own_cluster(cluster).into_iter().flat_map(|cluster| cluster.node_groups.iter().cloned());
        Ok(match which {
            NodeGroups::All => all.collect(),
            NodeGroups::First(most) => all.take(*most).collect(),
            NodeGroups::Named(names) => all.filter(|nodes| names.contains(&nodes.name)).collect(),
        })
    }
}

/// The time at which the files are looked at. It stands still.
pub(crate) struct Still(pub(crate) Timestamp);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    async fn sleep(&self, _: Duration) {}
}
