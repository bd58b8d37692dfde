//! Where VPCs and clusters live: in which account and region, and the VPCs of clusters that only their names are known of.
//!
//! Must not: say what belongs to a cluster.

use std::collections::{BTreeMap, HashMap};
use std::slice;

use crate::audit::saved::store::{Hints, Saved};
use crate::cluster::names::{self, Names};
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface};
use crate::model::ids::{Arn, Location};

/// What stands for an account or a region that nothing names.
pub(crate) const UNKNOWN: &str = "unknown";

/// The VPCs where something names a cluster, by its name: first where AWS names it, in tags of its own and interfaces of
/// EKS, which nobody else can write; of each first those of its instances, then of its interfaces, then of groups.
pub(super) fn vpcs_by_name<'a>(
    groups: impl Iterator<Item = &'a GroupFacts>,
    interfaces: &[Interface],
    instances: &[Instance],
) -> BTreeMap<String, Vec<String>> {
    let mut found: [BTreeMap<String, Vec<String>>; 2] = Default::default();
    let mut add = |vpc: &str, Names { by_aws, ordinary }: Names| {
        for (found, names) in found.iter_mut().zip([by_aws.into_iter().collect(), ordinary]) {
            for name in names.into_iter().filter(|_| !vpc.is_empty()) {
                found.entry(name).or_default().push(vpc.to_owned());
            }
        }
    };
    for instance in instances {
        add(&instance.vpc, names::names([], &[], slice::from_ref(instance)));
    }
    for interface in interfaces {
        add(&interface.vpc, names::names([], slice::from_ref(interface), &[]));
    }
    for group in groups {
        add(&group.vpc, names::names([group], &[], &[]));
    }
    let [mut all, by_others] = found;
    for (name, vpcs) in by_others {
        all.entry(name).or_default().extend(vpcs);
    }
    all
}

/// Where VPCs and clusters live.
pub(super) struct Places<'a> {
    saved: &'a Saved,
    /// By VPC, the first region that something says of one of its groups.
    region_of: HashMap<&'a str, &'a String>,
    /// For what says nothing.
    account: String,
    region: String,
}

impl<'a> Places<'a> {
    pub(super) fn of(saved: &'a Saved) -> Self {
        let mut owners: BTreeMap<&String, usize> = BTreeMap::new();
        let mut regions: BTreeMap<&String, usize> = BTreeMap::new();
        for hints in saved.places.values() {
            for (owner, times) in &hints.owners {
                *owners.entry(owner).or_default() += times;
            }
            for region in &hints.regions {
                *regions.entry(region).or_default() += 1;
            }
        }
        let most =
            |of: BTreeMap<&String, usize>| of.into_iter().max_by_key(|(_, times)| *times).map(|(name, _)| name.clone());
        let caller = saved.accounts.first().filter(|_| saved.accounts.len() == 1).cloned();
        let unknown = || UNKNOWN.to_owned();
        let mut region_of = HashMap::new();
        for group in saved.groups.values() {
            if let Some(region) = saved.places.get(&group.id).and_then(|hints| hints.regions.first()) {
                region_of.entry(group.vpc.as_str()).or_insert(region);
            }
        }
        Self {
            saved,
            region_of,
            account: caller.or(most(owners)).unwrap_or_else(unknown),
            region: most(regions).unwrap_or_else(unknown),
        }
    }

    pub(super) fn of_cluster(&self, cluster: &Cluster) -> Location {
        match cluster.arn.as_deref().and_then(Arn::parse) {
            Some(arn) => Location::new(arn.account, arn.region),
            None => self.of_vpc(&cluster.vpc),
        }
    }

    pub(super) fn of_vpc(&self, vpc: &str) -> Location {
        let none = Hints::default();
        let own = self.saved.places.get(vpc).unwrap_or(&none);
        let region = own.regions.first().or_else(|| self.region_of.get(vpc).copied());
        let owner = own.owners.iter().max_by_key(|(_, times)| **times).map(|(owner, _)| owner.clone());
        let caller = (self.saved.accounts.len() == 1).then(|| self.account.clone());
        Location {
            account: caller.or(owner).unwrap_or_else(|| self.account.clone()),
            region: region.cloned().unwrap_or_else(|| self.region.clone()),
        }
    }
}
