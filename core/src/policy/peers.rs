//! What the peers of a group's rules are to the policy: which classes of addresses they meet, which peer terms name them.
//!
//! Owns: `private`, the meaning of each peer term. Must not: decide anything.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use fixedbitset::FixedBitSet;
use ipnet::IpNet;

use crate::model::group::{AwsList, Group, PrefixList, Role};
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::policy::cut::Cut;
use crate::policy::exposure;
use crate::policy::model::{PeerClass, PeerTerm};

/// Blocks that are private everywhere, since nobody on the internet has an address in them: "this network", RFC 1918,
/// RFC 6598, loopback, link-local, benchmarking (which EKS's best practices recommend for pods), reserved; unspecified,
/// loopback, unique local, link-local. Documentation ranges and 6to4 count as internet.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/>
const PRIVATE: [&str; 13] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// `PRIVATE` as a set.
static EVERYWHERE: LazyLock<Addresses> =
    LazyLock::new(|| PRIVATE.iter().filter_map(|text| text.parse::<IpNet>().ok()).collect());

/// What is private everywhere.
pub(crate) fn private_everywhere() -> &'static Addresses {
    &EVERYWHERE
}

/// What is private to a group: that, the ranges of its VPCs, and the remote networks of its clusters.
pub(crate) fn private(group: &Group) -> Addresses {
    private_around(&group.vpc_ranges, &group.remote_networks)
}

/// The same of ranges and remote networks.
pub(super) fn private_around(vpc: &Addresses, remote: &Addresses) -> Addresses {
    private_everywhere().with(vpc).with(remote)
}

/// Whether addresses are public in part, and too few to be wide alone: what is let in beside them matters.
pub(crate) fn counts_together(addresses: &Addresses, group: &Group) -> bool {
    !EVERYWHERE.covers(addresses) && exposure::is_small(&addresses.without(&private(group)))
}

/// The peers of one group.
pub(super) struct Peers<'a> {
    group: &'a Group,
    cut: &'a Cut<'a>,
    strong_roles: BTreeSet<Role>,
}

/// What the rules of one direction with one peer have in common, where the peer is addresses.
pub(super) struct ReachedPeers {
    /// Classes that some of its addresses belong to.
    pub(super) classes: FixedBitSet,
    /// The traffic where it is wide.
    pub(super) wide: Traffic,
}

/// The kinds of peer that peer terms distinguish.
#[derive(Clone, Copy)]
pub(super) enum PeerKind {
    Addresses,
    Itself,
    SameCluster,
    OtherGroup,
    Aws(AwsList),
    Unreadable,
}

impl<'a> Peers<'a> {
    pub(super) fn new(group: &'a Group, cut: &'a Cut<'a>) -> Self {
        let strong_roles = group.roles.iter().filter(|known| known.strong).map(|known| known.role).collect();
        Self { group, cut, strong_roles }
    }

    pub(super) fn strong_roles(&self) -> &BTreeSet<Role> {
        &self.strong_roles
    }

    /// For each direction and peer of addresses. Many rules share a peer, and a prefix list may be long.
    pub(super) fn reaches(&self) -> BTreeMap<(Direction, &'a Peer), ReachedPeers> {
        let mut reaches: BTreeMap<(Direction, &'a Peer), ReachedPeers> = BTreeMap::new();
        // Those that are private are wide nowhere, and make nothing wide.
        let mut packets: BTreeMap<(Direction, &'a Peer), Vec<Packets>> = BTreeMap::new();
        for rule in &self.group.rules {
            let key = (rule.direction, &rule.peer);
            let reached = match reaches.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let Some(classes) = self.classes(&rule.peer) else { continue };
                    new.insert(ReachedPeers { classes, wide: Traffic::default() })
                }
            };
            if !reached.classes.is_subset(&self.cut.private_classes) {
                packets.entry(key).or_default().push(rule.packets);
            }
        }
        for direction in [Direction::Ingress, Direction::Egress] {
            let (mut keys, mut public) = (Vec::new(), Vec::new());
            for ((_, peer), packets) in packets.iter().filter(|((of, _), _)| *of == direction) {
                let of_peer = self.group.addresses_of(peer).unwrap_or_default();
                let traffic = Traffic::union(packets.iter().copied().map(Traffic::from));
                public.push((traffic, of_peer.without(&self.cut.private)));
                keys.push((direction, *peer));
            }
            if public.is_empty() {
                continue;
            }
            let mut wide = exposure::wide(&public);
            let beside = self.group.beside.iter().filter(|_| direction == Direction::Ingress);
            for rules in beside {
                let others = rules.iter().filter_map(|rule| self.public(rule));
                let together: Vec<_> = public.iter().cloned().chain(others).collect();
                for (wide, more) in wide.iter_mut().zip(exposure::wide(&together)) {
                    *wide = Traffic::union([std::mem::take(wide), more]);
                }
            }
            for (key, wide) in keys.into_iter().zip(wide) {
                reaches.entry(key).and_modify(|reached| reached.wide = wide);
            }
        }
        reaches
    }

    /// The classes that some address of a peer belongs to. `None`: it is no addresses, or they are not known.
    fn classes(&self, peer: &Peer) -> Option<FixedBitSet> {
        match peer {
            Peer::Cidr(net) => Some(self.cut.addresses.of_block(net)),
            Peer::PrefixList(id) => self.group.entries_of(id).map(|entries| self.cut.addresses.of(entries)),
            Peer::Group { .. } => None,
        }
    }

    /// The traffic of an ingress rule and the public addresses it lets in.
    fn public(&self, rule: &'a Rule) -> Option<(Traffic, Addresses)> {
        let addresses = self.group.addresses_of(&rule.peer).filter(|_| rule.direction == Direction::Ingress)?;
        let public = addresses.without(&self.cut.private);
        (!public.is_empty()).then(|| (Traffic::from(rule.packets), public))
    }

    pub(super) fn kind(&self, peer: &Peer) -> PeerKind {
        match peer {
            Peer::Cidr(_) => PeerKind::Addresses,
            Peer::PrefixList(id) => match self.group.prefix_lists.get(id) {
                Some(PrefixList::Entries(_)) => PeerKind::Addresses,
                Some(PrefixList::Aws(list)) => PeerKind::Aws(*list),
                Some(PrefixList::Unreadable { .. }) | None => PeerKind::Unreadable,
            },
            Peer::Group { id, .. } if *id == self.group.id => PeerKind::Itself,
            Peer::Group { id, .. } if self.group.peers.get(id).is_some_and(|peer| peer.same_cluster) => {
                PeerKind::SameCluster
            }
            Peer::Group { .. } => PeerKind::OtherGroup,
        }
    }

    /// Whether nobody comes from the peer now: a group that is known to be attached to nothing.
    pub(super) fn is_nobody(&self, peer: &Peer) -> bool {
        matches!(peer, Peer::Group { id, .. } if self.group.peers.get(id).is_some_and(|peer| peer.is_unattached))
    }

    /// What people call these classes of a peer.
    pub(super) fn names(&self, kind: PeerKind, classes: impl Iterator<Item = usize>) -> [Option<PeerClass>; 2] {
        match kind {
            PeerKind::Addresses => {
                let mut names = [None, None];
                for class in classes {
                    if self.cut.private_classes.contains(class) {
                        names[0] = Some(PeerClass::Private);
                    } else {
                        names[1] = Some(PeerClass::Internet);
                    }
                }
                names
            }
            PeerKind::Itself => [Some(PeerClass::Itself), None],
            PeerKind::SameCluster => [Some(PeerClass::SameCluster), None],
            PeerKind::OtherGroup => [Some(PeerClass::OtherGroup), None],
            PeerKind::Aws(list) => [Some(PeerClass::Aws(list)), None],
            PeerKind::Unreadable => [Some(PeerClass::Unreadable), None],
        }
    }

    /// Whether the term means all of the peer, whatever its addresses.
    pub(super) fn is_named(&self, term: &PeerTerm, peer: &Peer, kind: PeerKind) -> bool {
        match term {
            PeerTerm::Anywhere => true,
            PeerTerm::PrefixList(id) => matches!(peer, Peer::PrefixList(list) if list == id),
            PeerTerm::Group(id) => matches!(peer, Peer::Group { id: peer, .. } if peer == id),
            PeerTerm::Aws(list) => matches!(kind, PeerKind::Aws(known) if known == *list),
            PeerTerm::Itself => matches!(kind, PeerKind::Itself),
            PeerTerm::SameCluster => matches!(kind, PeerKind::SameCluster),
            PeerTerm::OtherGroup => matches!(kind, PeerKind::OtherGroup),
            PeerTerm::OtherAccountGroup => match (kind, peer) {
                (PeerKind::OtherGroup, Peer::Group { owner, .. }) => {
                    owner.as_ref().is_some_and(|owner| *owner != self.group.owner)
                }
                _ => false,
            },
            PeerTerm::Role(role) => match (kind, peer) {
                (PeerKind::Itself, _) => self.strong_roles.contains(role),
                (PeerKind::SameCluster, Peer::Group { id, .. }) => {
                    self.group.peers.get(id).is_some_and(|peer| peer.roles.contains(role))
                }
                _ => false,
            },
            // Of these a clause covers classes of addresses.
            PeerTerm::Addresses(_)
            | PeerTerm::Private
            | PeerTerm::Internet
            | PeerTerm::WideInternet
            | PeerTerm::Vpc => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_public_addresses_count_together_but_those_of_the_vpc_and_remote_networks_are_private() {
        let nets = |text: &str| Addresses::of_blocks([text]).unwrap();
        let group =
            Group { vpc_ranges: nets("198.51.100.0/24"), remote_networks: nets("192.0.2.0/24"), ..Group::default() };
        for (block, counts) in [
            ("203.0.113.0/24", true),
            ("198.51.100.0/24", false),
            ("192.0.2.128/25", false),
            ("198.51.100.0/23", true),
            ("10.0.0.0/8", false),
            ("0.0.0.0/0", false),
        ] {
            assert_eq!(counts_together(&nets(block), &group), counts, "{block}");
        }
    }
}
