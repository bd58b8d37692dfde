//! Who needs what a forbidden rule for addresses lets in: the groups that are proven to be attached to the control plane, to
//! nodes and to load balancers of the cluster. What they need is what the policy requires, as far as no other rule meets it.
//!
//! Must not: open anything, propose what the policy would forbid, or take anything for a peer but what was proven.

mod needs;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures_executor::block_on;

use self::needs::{Cut, Here, Needs, forbidden};
use super::look::ports;
use super::saved::Kind;
use super::saved::facts::Facts;
use crate::audit::report::narrow::{Narrowing, Opening};
use crate::audit::report::{Audit, AuditFinding, AuditedGroup, Place};
use crate::inventory::{GroupSnapshot, Inventory};
use crate::model::error::CloudError;
use crate::model::group::{Group, Role};
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::{and, plain};
use crate::policy::controller::Author;
use crate::policy::judge::judge;
use crate::policy::model::{Policy, Verdict};

/// Longest description that EC2 takes of a rule.
const MAX_DESCRIPTION: usize = 255;
/// Without any of these somebody who is there may not be seen.
const NEEDED: [Kind; 3] = [Kind::Interfaces, Kind::Instances, Kind::Cluster];

const UNATTACHED: &str = "nothing is attached that could need it: the group itself is attached to nothing";
const ELSEWHERE: &str = "nothing is attached that could need it: no interface of the control plane or of a node has this \
                         group, as far as was read";
const NOBODY: &str = "nothing is attached that needs it: the cluster depends on no port of these rules";
const OPEN_ALREADY: &str = "nothing is attached that needs it: what the cluster depends on is open by other rules";

/// What could stand in place of each forbidden rule for addresses, group by group.
///
/// # Errors
/// A location that could not be looked at once more, with the reason.
pub fn narrow(all: &[Arc<Facts>], policy: &Policy, audit: &Audit) -> Result<Vec<Narrowing>, CloudError> {
    let mut narrowed = Vec::new();
    for facts in all {
        let locations = facts.locations();
        for found in audit.locations.iter().filter(|found| locations.contains(&found.location)) {
            narrowed.extend(block_on(Here::new(facts, policy, audit, found).narrowed())?);
        }
    }
    Ok(narrowed)
}

/// What is to be open, by the group that it is to be open to.
type Wanted<'c> = BTreeMap<&'c String, Vec<(&'c Cut, &'c Traffic)>>;

/// A group with forbidden rules for addresses, and who would be cut off without them.
struct Asked<'n> {
    audited: &'n AuditedGroup,
    /// What these rules let in.
    going: Traffic,
    /// Of its clusters.
    needs: Vec<&'n Needs>,
    /// Each with what of it would go.
    cut: Vec<(&'n Cut, Traffic)>,
}

impl<'n> Asked<'n> {
    fn of(audited: &'n AuditedGroup, needs: &'n BTreeMap<&str, Needs>) -> Self {
        let group = &audited.group;
        let going = forbidden(audited).filter(|rule| is_for_addresses(rule));
        let going = Traffic::union(going.map(|rule| Traffic::from(rule.packets)));
        let needs: Vec<&Needs> = group.clusters.iter().filter_map(|name| needs.get(name.as_str())).collect();
        let cut = needs.iter().flat_map(|needs| {
            let at = needs.cut_at.get(&group.id).into_iter().flatten();
            at.filter_map(|at| needs.cut.get(*at))
        });
        let cut = cut.map(|cut| (cut, &cut.traffic & &going)).filter(|(_, traffic)| !traffic.is_empty()).collect();
        Self { audited, going, needs, cut }
    }
}

fn is_for_addresses(rule: &Rule) -> bool {
    rule.direction == Direction::Ingress && !matches!(rule.peer, Peer::Group { .. })
}

impl Here<'_> {
    async fn narrowed(&self) -> Result<Vec<Narrowing>, CloudError> {
        let is_it = |audited: &&AuditedGroup| forbidden(audited).any(is_for_addresses);
        let groups: Vec<&AuditedGroup> = self.found.groups.iter().filter(is_it).collect();
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let ports = ports(self.facts, &self.found.location, self.audit.at);
        let inventory = Inventory::new(&ports, self.found.location.account.clone(), self.policy.groups.clone());
        let snapshots = inventory.read_in_scope().await?.snapshots.into_iter();
        let snapshots: BTreeMap<String, GroupSnapshot> =
            snapshots.map(|snapshot| (snapshot.group.id.clone(), snapshot)).collect();
        let clusters: BTreeSet<&String> = groups.iter().flat_map(|audited| &audited.group.clusters).collect();
        let mut needs = BTreeMap::new();
        for name in clusters.into_iter().filter(|name| !self.facts.planned.clusters.contains(*name)) {
            needs.insert(name.as_str(), self.needs(&inventory, name).await);
        }
        let (mut asked, mut known, mut all_clusters) = (Vec::new(), Vec::new(), Arc::default());
        for audited in groups {
            let Some(snapshot) = snapshots.get(&audited.group.id) else { continue };
            let one = Asked::of(audited, &needs);
            let named = one.cut.iter().flat_map(|(cut, _)| &cut.from);
            let rules = named.map(|id| self.rule(&audited.group, Packets::All, id)).collect();
            known.push(snapshot.with_rules_of(Group { rules, ..audited.group.clone() }));
            all_clusters = snapshot.clusters();
            asked.push(one);
        }
        inventory.resolve_all(&mut known, &all_clusters).await?;
        let mut findings: HashMap<&str, Vec<&AuditFinding>> = HashMap::new();
        for found in &self.found.findings {
            if found.verdict == Verdict::Revoke && found.rule.as_ref().is_some_and(is_for_addresses) {
                findings.entry(found.group.as_ref().map_or("", |group| &group.id)).or_default().push(found);
            }
        }
        let all = asked.iter().zip(&known).filter_map(|(asked, known)| {
            let findings = findings.get(known.group.id.as_str())?;
            self.of_group(asked, &known.group, findings)
        });
        Ok(all.collect())
    }

    /// `known`: the group with what it is to those that would be cut off.
    fn of_group(&self, asked: &Asked<'_>, known: &Group, findings: &[&AuditFinding]) -> Option<Narrowing> {
        let Asked { audited, going, needs, cut } = asked;
        let group = &audited.group;
        let (wanted, mut notes) = self.wanted(known, cut);
        let open = self.allowed(known, wanted, &mut notes);
        if open.is_empty() && notes.is_empty() {
            let is_attached = needs.iter().any(|needs| needs.attached.contains(&group.id));
            let lives_on_it = needs.iter().any(|needs| needs.traffic.meets(going));
            notes.push(
                match (group.is_unattached, is_attached, lives_on_it) {
                    (true, ..) => UNATTACHED,
                    (_, false, _) => ELSEWHERE,
                    (.., false) => NOBODY,
                    (.., true) => OPEN_ALREADY,
                }
                .to_owned(),
            );
        }
        notes.extend(needs.iter().flat_map(|needs| needs.notes.clone()));
        let unread: Vec<&str> = NEEDED.into_iter().filter(|kind| !self.facts.is_whole(*kind)).map(Kind::word).collect();
        if !unread.is_empty() {
            notes.push(format!("somebody who needs it may not be seen: not all was read of {}", and(&unread)));
        }
        let location = &self.found.location;
        let place = Place { location, clusters: &group.clusters, group: Some(group), origin: audited.origin.as_ref() };
        let is_there = !self.facts.planned.groups.contains(&group.id);
        Narrowing::of(place, findings, open, notes, is_there)
    }

    /// What is to be open to whom: of groups that are attached together, one that is proven.
    fn wanted<'c>(&self, group: &Group, cut: &'c [(&'c Cut, Traffic)]) -> (Wanted<'c>, Vec<String>) {
        let is_proven = |id: &&String| match group.peers.get(*id) {
            _ if **id == group.id => group.is_strong(),
            Some(peer) => peer.same_cluster && !peer.is_unattached && !self.facts.planned.groups.contains(*id),
            None => false,
        };
        // Itself, or the cluster's own group, before one more peer.
        let is_of_cluster = |id: &String| group.peers.get(id).is_some_and(|peer| peer.roles.contains(&Role::Cluster));
        let (mut wanted, mut notes): (BTreeMap<_, Vec<_>>, BTreeSet<String>) = (BTreeMap::new(), BTreeSet::new());
        for (cut, traffic) in cut {
            let best = cut.from.iter().filter(is_proven).min_by_key(|id| (**id != group.id, !is_of_cluster(id), *id));
            if let Some(id) = best {
                wanted.entry(id).or_default().push((*cut, traffic));
                continue;
            }
            let ids: Vec<String> = cut.from.iter().map(|id| plain(id)).collect();
            let who = if ids.is_empty() { "addresses".to_owned() } else { and(&ids) };
            let what = plain(&cut.id);
            notes.insert(format!("`{what}` would not be met, and its other side is not proven to be attached: {who}"));
        }
        (wanted, notes.into_iter().collect())
    }

    /// As rules, as far as the policy does not forbid them.
    fn allowed(&self, group: &Group, wanted: Wanted<'_>, notes: &mut Vec<String>) -> Vec<Opening> {
        let mut openings = Vec::new();
        for (id, needed) in wanted {
            let traffic = Traffic::union(needed.iter().map(|(_, traffic)| (*traffic).clone()));
            for packets in traffic.packets() {
                let here = Traffic::from(packets);
                let of: Vec<&Cut> =
                    needed.iter().filter(|(_, traffic)| traffic.meets(&here)).map(|(cut, _)| *cut).collect();
                let ids: BTreeSet<&str> = of.iter().map(|cut| cut.id.as_str()).collect();
                let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
                let reasons: BTreeSet<&str> = of.iter().map(|cut| cut.reason.as_str()).collect();
                let description: String = ids.join(", ").chars().take(MAX_DESCRIPTION).collect();
                let rule = Rule { description: Some(description), ..self.rule(group, packets, id) };
                openings.push(Opening {
                    rule,
                    name: self.facts.groups.get(id).map(|known| known.facts.name.clone()),
                    needed_for: ids,
                    reason: reasons.into_iter().collect::<Vec<_>>().join("; "),
                    verdict: Verdict::Allow,
                });
            }
        }
        let rules = openings.iter().map(|opening| opening.rule.clone()).collect();
        let proposed = Group { rules, ..group.clone() };
        let judged = judge(self.policy, &proposed, &self.found.location, self.audit.at, |_| Author::Unknown);
        let mut allowed = Vec::new();
        for (opening, judged) in openings.into_iter().zip(judged) {
            if judged.verdict < Verdict::Revoke {
                allowed.push(Opening { verdict: judged.verdict, ..opening });
            } else {
                let (what, who) = (judged.rule.packets, plain(&judged.rule.peer.to_string()));
                notes.push(format!(
                    "the policy forbids {what} from {who} too, so it is not proposed: {}",
                    opening.reason
                ));
            }
        }
        allowed
    }

    fn rule(&self, group: &Group, packets: Packets, peer: &str) -> Rule {
        let owner = self.facts.groups.get(peer).map(|known| known.facts.owner.clone());
        let owner = owner.filter(|owner| !owner.is_empty() && *owner != group.owner);
        Rule::new(Direction::Ingress, packets, Peer::Group { id: peer.to_owned(), owner })
    }
}
