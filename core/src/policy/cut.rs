//! A policy cut into classes for the groups that it counts for alike: those with the same clauses in force and the same
//! private addresses around them. Made once for thousands of groups.
//!
//! Must not: know a group's rules, or decide anything.

use std::borrow::Cow;

use fixedbitset::FixedBitSet;

use crate::model::group::NODE_PORTS;
use crate::model::region::{Addresses, Traffic};
use crate::policy::classes::Classes;
use crate::policy::model::{Clause, Origin, PeerTerm};

/// What a cut hangs on besides the policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Context {
    /// The clauses that are in force, by their positions in the policy.
    pub(super) clauses: FixedBitSet,
    /// Where the cluster has `NodePorts`, if it moved them.
    pub(super) node_ports: Option<(u16, u16)>,
    /// The VPC's own ranges.
    pub(super) vpc: Addresses,
    /// Remote networks of the clusters.
    pub(super) remote: Addresses,
}

/// What counts, cut.
pub(super) struct Cut<'p> {
    pub(super) clauses: Vec<Active<'p>>,
    /// Cut by the clauses.
    pub(super) traffic: Classes,
    /// Cut by the addresses that clauses name, and by what is private.
    pub(super) addresses: Classes,
    /// What is private around these groups.
    pub(super) private: Addresses,
    pub(super) private_classes: FixedBitSet,
}

/// A clause that is in force.
pub(super) struct Active<'p> {
    pub(super) clause: &'p Clause,
    /// In the policy.
    pub(super) position: usize,
    pub(super) covered: Covered,
}

/// The classes of addresses that a clause covers.
pub(super) struct Covered {
    /// Of every rule.
    pub(super) always: FixedBitSet,
    /// Of a rule that is wide; never fewer.
    pub(super) where_wide: FixedBitSet,
}

const SET_PRIVATE: usize = 0;
const SET_VPC: usize = 1;

impl<'p> Cut<'p> {
    /// `private`: what is private there.
    pub(super) fn new(all: &'p [Clause], context: &Context, private: Addresses) -> Self {
        let clauses: Vec<(usize, &Clause)> = context.clauses.ones().filter_map(|at| Some((at, all.get(at)?))).collect();
        // Built-in clauses mean NodePorts where they say these ports; who writes a policy means what he writes.
        let traffic =
            |(_, clause): &(usize, &'p Clause)| match context.node_ports.filter(|_| clause.origin == Origin::BuiltIn) {
                Some(range) => Cow::Owned(clause.traffic.moved(NODE_PORTS, range)),
                None => Cow::Borrowed(&clause.traffic),
            };
        let traffic: Vec<Cow<'_, Traffic>> = clauses.iter().map(traffic).collect();
        let traffic = Classes::new(&traffic.iter().map(|traffic| &**traffic).collect::<Vec<_>>());

        let mut sets = vec![&private, &context.vpc];
        sets.extend(clauses.iter().flat_map(|(_, clause)| &clause.peers).filter_map(|term| match term {
            PeerTerm::Addresses(addresses) => Some(addresses),
            _ => None,
        }));
        let addresses = Classes::new(&sets);
        let [private_classes, vpc] = [SET_PRIVATE, SET_VPC].map(|set| addresses.inside(set));
        let mut internet = addresses.of(&Addresses::all());
        internet.difference_with(&private_classes);
        let mut own_sets = SET_VPC + 1..sets.len();
        let active = |(position, clause): (usize, &'p Clause)| {
            let (mut always, mut where_wide) = (FixedBitSet::new(), FixedBitSet::new());
            for term in &clause.peers {
                match term {
                    PeerTerm::Addresses(_) => {
                        own_sets.next().iter().for_each(|set| always |= &addresses.inside(*set));
                    }
                    PeerTerm::Private => always |= &private_classes,
                    PeerTerm::Vpc => always |= &vpc,
                    PeerTerm::Internet => always |= &internet,
                    PeerTerm::WideInternet => where_wide |= &internet,
                    _ => {}
                }
            }
            where_wide |= &always;
            Active { clause, position, covered: Covered { always, where_wide } }
        };
        let clauses = clauses.into_iter().map(active).collect();
        Self { clauses, traffic, addresses, private, private_classes }
    }
}
