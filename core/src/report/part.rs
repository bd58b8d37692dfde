//! A part of a sweep that ended, or one of its tries, as the state keeps it until all parts have.
//!
//! Owns: what is kept, of which try, and what is left out where it does not fit. Must not: keep or send it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::report::finding::{Check, Finding, ForPeople, Subject, worst_first};
use crate::report::history::digest;
use crate::report::record::Record;

/// Records that are kept for the digest, in bytes; the state takes some 400 KB. The others were recorded, and are in no
/// digest; what no later look finds again is the last to go.
const MAX_BYTES: usize = 300_000;

/// What a part found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndedPart {
    /// The groups that it saw.
    pub groups: BTreeSet<String>,
    /// Whether it saw all that it should.
    pub is_complete: bool,
    /// Something in it failed, and another try comes.
    #[serde(default)]
    pub is_open: bool,
    /// What is to be said, worst first.
    records: Vec<Record>,
    /// What no record has, of each finding of each.
    #[serde(default)]
    for_people: Vec<Vec<ForPeople>>,
}

impl EndedPart {
    /// With as many of the records as fit.
    pub fn new(groups: BTreeSet<String>, is_complete: bool, mut records: Vec<Record>) -> Self {
        records.retain(|record| !record.findings.is_empty());
        let has_what_is_found_once = |record: &Record| record.findings.iter().any(is_found_once);
        records.sort_by_key(|record| Reverse((has_what_is_found_once(record), record.outcome, record.severity)));
        let of = |record: &Record| record.findings.iter().map(|finding| finding.for_people.clone()).collect();
        let bytes = |record: &Record| {
            let for_people: Vec<ForPeople> = of(record);
            serde_json::to_vec(&(record, for_people)).map_or(usize::MAX, |json| json.len())
        };
        if records.iter().map(bytes).fold(0, usize::saturating_add) > MAX_BYTES {
            // Whoever writes tags must not crowd anything out with them.
            for finding in records.iter_mut().flat_map(|record| &mut record.findings) {
                if let Subject::Rule(rule) = &mut finding.subject {
                    rule.tags.clear();
                }
            }
        }
        let mut room = MAX_BYTES;
        records.retain(|record| {
            let bytes = bytes(record);
            let fits = bytes <= room;
            room = room.saturating_sub(if fits { bytes } else { 0 });
            fits
        });
        let for_people = records.iter().map(of).collect();
        Self { groups, is_complete, is_open: false, records, for_people }
    }

    /// With what earlier tries found and no later one finds again. The rest of theirs was looked at once more; if it could
    /// not be read, it stays.
    #[must_use]
    pub fn after(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        let is_open = self.is_open && earlier.is_open;
        if self.groups.is_empty() && self.records.is_empty() {
            return Self { is_open, ..earlier };
        }
        let (groups, is_complete) = (self.groups.clone(), self.is_complete);
        let mut records = self.into_records();
        // What is of a call has a message of its own.
        for mut record in earlier.into_records().into_iter().filter(|record| record.event_id.is_none()) {
            record.findings.retain(is_found_once);
            let is_again = |again: &&mut Record| again.event_id.is_none() && again.about() == record.about();
            let again = records.iter_mut().find(is_again);
            if let Some(again) = again {
                let is_known = |found: &Finding| {
                    record.findings.iter().any(|one| found.action == one.action && found.subject == one.subject)
                };
                let mut findings = std::mem::take(&mut again.findings);
                findings.retain(|found| !is_known(found));
                findings.append(&mut record.findings);
                worst_first(&mut findings);
                again.set_findings(findings);
            } else {
                let findings = std::mem::take(&mut record.findings);
                record.set_findings(findings);
                records.push(record);
            }
        }
        Self { is_open, ..Self::new(groups, is_complete, records) }
    }

    /// What was done, with a name by which another try knows it again. `None`: nothing.
    pub fn effects(self) -> Option<(String, Vec<Record>)> {
        let records = self.into_records().into_iter().filter(|record| record.event_id.is_none());
        let records = records.map(|mut record| {
            let mut done = std::mem::take(&mut record.findings);
            done.retain(|finding| finding.action.is_closed_by_us());
            record.set_findings(done);
            record
        });
        let records: Vec<Record> = records.filter(|record| !record.findings.is_empty()).collect();
        let of =
            |record: &Record| serde_json::to_string(&record.findings.iter().map(|it| &it.subject).collect::<Vec<_>>());
        let name: Vec<String> = records.iter().filter_map(|record| of(record).ok()).collect();
        let name = digest(&name.iter().map(String::as_str).collect::<Vec<_>>());
        (!records.is_empty()).then_some((name, records))
    }

    /// What is to be said, with what decides whether it is.
    pub fn into_records(mut self) -> Vec<Record> {
        for (record, of_it) in self.records.iter_mut().zip(self.for_people) {
            for (finding, for_people) in record.findings.iter_mut().zip(of_it) {
                finding.for_people = for_people;
            }
        }
        self.records
    }
}

/// Whether no later look finds it again: what the guard did, and what is known once it was seen.
fn is_found_once(finding: &Finding) -> bool {
    let is_check = matches!(finding.subject, Subject::Check(Check::NewCluster | Check::NewMember | Check::LostEvents));
    finding.action.is_closed_by_us() || finding.for_people.told.is_some() || is_check
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::group::Group;
    use crate::model::ids::Location;
    use crate::model::rule::{Direction, Packets, Peer, Rule};
    use crate::policy::builtin;
    use crate::policy::model::{Mode, Verdict};
    use crate::report::outcome::{Action, Told};
    use crate::report::record::About;

    fn finding(id: &str, action: Action) -> Finding {
        let world = Peer::cidr("0.0.0.0/0").unwrap();
        let rule = Rule { id: id.into(), ..Rule::new(Direction::Ingress, Packets::Tcp(22, 22), world) };
        let mut finding = Finding::read_denied(String::new());
        (finding.subject, finding.action, finding.verdict) = (Subject::Rule(rule), action, Verdict::Revoke);
        finding
    }

    fn told(mut finding: Finding) -> Finding {
        finding.for_people.told = Some(Told::WhileReporting);
        finding
    }

    /// A try that found this in `sg-1`, on behalf of an event or in the sweep.
    fn tried(event: Option<&str>, findings: Vec<Finding>, is_open: bool) -> EndedPart {
        let (location, policy) = (Location::new("111122223333", "us-east-1"), builtin::policy("standard").unwrap());
        let group = Group { id: "sg-1".into(), ..Group::default() };
        let mut record = Record::of(&location, policy, Mode::Enforce, About::Group(&group), findings, None);
        record.event_id = event.map(str::to_owned);
        EndedPart { is_open, ..EndedPart::new(["sg-1".to_owned()].into(), true, vec![record]) }
    }

    /// The event of a record; of its findings the rules, actions, and whether one says why it was left.
    type Found = (Option<String>, Vec<(String, Action, bool)>);

    fn found(part: EndedPart) -> Vec<Found> {
        let of =
            |finding: &Finding| (finding.rule().unwrap().id.clone(), finding.action, finding.for_people.told.is_some());
        part.into_records()
            .into_iter()
            .map(|record| (record.event_id, record.findings.iter().map(of).collect()))
            .collect()
    }

    #[test]
    fn what_no_later_try_finds_again_is_kept_from_the_earlier_ones_and_the_rest_is_as_it_is_now() {
        use Action::{Failed, Revoked, WouldRevoke};
        let of = |id: &str, action, is_told| (id.to_owned(), action, is_told);
        let first = vec![finding("sgr-1", Revoked), finding("sgr-2", Failed), told(finding("sgr-3", WouldRevoke))];
        let second = vec![finding("sgr-2", Revoked), finding("sgr-3", WouldRevoke)];
        let both = tried(None, second, false).after(Some(tried(None, first.clone(), true)));
        assert!(!both.is_open && both.is_complete);
        let expected = vec![of("sgr-1", Revoked, false), of("sgr-2", Revoked, false), of("sgr-3", WouldRevoke, true)];
        assert_eq!(found(both.clone()), [(None, expected.clone())]);
        assert_eq!(
            found(both.clone().after(Some(both.clone()))),
            [(None, expected.clone())],
            "a part that ends twice is one"
        );
        assert!(!tried(None, vec![], true).after(Some(both)).is_open, "what has ended stays ended");

        let of_event = tried(Some("e-1"), vec![finding("sgr-9", Revoked)], false);
        let beside = of_event.clone().after(Some(tried(None, vec![finding("sgr-1", Revoked)], true)));
        let expected =
            [(Some("e-1".to_owned()), vec![of("sgr-9", Revoked, false)]), (None, vec![of("sgr-1", Revoked, false)])];
        assert_eq!(found(beside), expected, "what is of a call has its own message");
        assert_eq!(found(tried(None, vec![], false).after(Some(of_event))), [], "and was told with it");

        let unread = EndedPart::default().after(Some(tried(None, first, true)));
        assert!(!unread.is_open && found(unread)[0].1.len() == 3, "who can't read it takes nothing from it");
    }

    /// Records of so many groups, each with a finding.
    fn of_groups(many: usize, finding: &Finding) -> Vec<Record> {
        let of = |n| {
            let group = Group { id: format!("sg-{n}"), ..Group::default() };
            let (location, policy) = (Location::new("111122223333", "us-east-1"), builtin::policy("standard").unwrap());
            Record::of(&location, policy, Mode::Enforce, About::Group(&group), vec![finding.clone()], None)
        };
        (0..many).map(of).collect()
    }

    #[test]
    fn what_was_done_is_not_crowded_out_by_what_is_still_to_be_done() {
        let long = |id, action| Finding { detail: Some("x".repeat(3_000)), ..finding(id, action) };
        let mut records = of_groups(200, &long("sgr-2", Action::Failed));
        records.extend(of_groups(1, &long("sgr-1", Action::Revoked)));
        let kept = EndedPart::new(BTreeSet::new(), true, records).into_records();
        assert!(kept.len() < 200 && kept.iter().any(|record| record.findings[0].action == Action::Revoked));
    }

    #[test]
    fn tags_crowd_nothing_out() {
        let mut tagged = finding("sgr-2", Action::Failed);
        let Subject::Rule(rule) = &mut tagged.subject else { panic!() };
        rule.tags.insert("note".into(), "x".repeat(20_000));
        assert_eq!(EndedPart::new(BTreeSet::new(), true, of_groups(20, &tagged)).into_records().len(), 20);
    }

    #[test]
    fn what_was_done_has_a_name_of_its_own() {
        let name = |findings| tried(None, findings, false).effects().map(|(name, _)| name);
        assert_eq!(name(vec![finding("sgr-1", Action::Failed)]), None);
        let one = name(vec![finding("sgr-1", Action::Revoked), finding("sgr-2", Action::Failed)]);
        assert_eq!(one, name(vec![finding("sgr-1", Action::Revoked)]));
        assert_ne!(one, name(vec![finding("sgr-2", Action::Revoked)]));
    }
}
