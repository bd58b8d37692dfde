//! Trails of CloudTrail out of saved answers: which there are, whether they log, and what.
//!
//! The status of a trail does not say of which one it is, so the name of its file has to. Must not: say whether the trails
//! suffice (`policy::sight` does).

use serde::Deserialize;

use super::shapes::Few;
use crate::model::ids::Arn;
use crate::model::text::quoted;
use crate::model::trails::{BasicSelector, FieldSelector, Pattern, Read, Selectors, Trail};

/// What was read of trails.
#[derive(Debug, Default)]
pub(super) struct SavedTrails {
    described: Vec<Described>,
    /// The name of a file, and whether the trail that it is of logs.
    statuses: Vec<(String, bool)>,
    selectors: Vec<Selecting>,
    /// Of which AWS itself told everything.
    shown: Vec<Trail>,
}

/// A trail, and whether it may log for other accounts than its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownTrail {
    pub(crate) trail: Trail,
    pub(crate) account: String,
    pub(crate) is_of_organisation: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Described {
    name: Option<String>,
    #[serde(rename = "TrailARN")]
    arn: Option<String>,
    home_region: Option<String>,
    is_multi_region_trail: Option<bool>,
    is_organization_trail: Option<bool>,
    has_custom_event_selectors: Option<bool>,
}

/// What one trail logs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Selecting {
    #[serde(rename = "TrailARN")]
    arn: Option<String>,
    event_selectors: Few<Basic>,
    advanced_event_selectors: Few<Advanced>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Basic {
    include_management_events: Option<bool>,
    read_write_type: Option<String>,
    exclude_management_event_sources: Few<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Advanced {
    field_selectors: Few<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Condition {
    #[serde(rename = "Field")]
    on: Option<String>,
    equals: Few<String>,
    starts_with: Few<String>,
    ends_with: Few<String>,
    not_equals: Few<String>,
    not_starts_with: Few<String>,
    not_ends_with: Few<String>,
}

impl SavedTrails {
    /// A trail of `describe-trails`.
    pub(super) fn describe(&mut self, json: &str) -> Result<(), String> {
        let described: Described = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if described.arn.as_deref().and_then(Arn::parse).is_none() {
            return Err("the trail has no `TrailARN`".to_owned());
        }
        if !self.described.contains(&described) {
            self.described.push(described);
        }
        Ok(())
    }

    /// `IsLogging` of `get-trail-status`.
    pub(super) fn status(&mut self, file: &str, json: &str) -> Result<(), String> {
        let is_logging = serde_json::from_str(json).map_err(|error| format!("`IsLogging`: {error}"))?;
        self.statuses.push((file.to_owned(), is_logging));
        Ok(())
    }

    /// An answer of `get-event-selectors`.
    pub(super) fn select(&mut self, json: &str) -> Result<(), String> {
        self.selectors.push(serde_json::from_str(json).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// What a region shows. A trail of another account is its organisation's: no other one is shown.
    pub(super) fn shown(&mut self, trails: Vec<Trail>) {
        self.shown = trails;
    }

    /// All trails, each with what was read of it.
    pub(super) fn known(&self) -> Vec<KnownTrail> {
        let shown =
            |trail: &Trail| KnownTrail { account: account(&trail.arn), trail: trail.clone(), is_of_organisation: true };
        self.described.iter().map(|described| self.one(described)).chain(self.shown.iter().map(shown)).collect()
    }

    fn one(&self, described: &Described) -> KnownTrail {
        let arn = described.arn.clone().unwrap_or_default();
        let account = account(&arn);
        let trail = Trail {
            home_region: described.home_region.clone().unwrap_or_default(),
            is_multi_region: described.is_multi_region_trail.unwrap_or_default(),
            is_logging: self.is_logging(described),
            selectors: self.selected(&arn, described),
            arn,
        };
        KnownTrail { trail, account, is_of_organisation: described.is_organization_trail.unwrap_or_default() }
    }

    /// By the name of the file, if it means this trail and no other.
    fn is_logging(&self, trail: &Described) -> Read<bool> {
        let mut said = self.statuses.iter().filter(|(file, _)| {
            means(file, trail) && !self.described.iter().any(|other| other.arn != trail.arn && means(file, other))
        });
        match (said.next(), said.next()) {
            (Some((_, is_logging)), None) => Ok(*is_logging),
            (Some(_), Some(_)) => Err("its status was saved more than once".to_owned()),
            (None, _) => {
                let name = trail.name.as_deref().unwrap_or("NAME");
                Err(format!(
                    "its status was not saved in a file named `trail-status.{}.json`",
                    quoted(name).replace('`', "")
                ))
            }
        }
    }

    fn selected(&self, arn: &str, trail: &Described) -> Read<Selectors> {
        let Some(found) = self.selectors.iter().find(|found| found.arn.as_deref() == Some(arn)) else {
            // Who never chose has all management events.
            return match trail.has_custom_event_selectors {
                Some(false) => Ok(Selectors::Default),
                _ => Err("its event selectors were not saved".to_owned()),
            };
        };
        let (older, newer) = (&found.event_selectors, &found.advanced_event_selectors);
        Ok(if older.iter().next().is_some() {
            Selectors::Basic(older.iter().map(basic).collect())
        } else if newer.iter().next().is_none() {
            Selectors::Default
        } else {
            Selectors::Advanced(newer.iter().map(|each| each.field_selectors.iter().map(field).collect()).collect())
        })
    }
}

fn account(arn: &str) -> String {
    Arn::parse(arn).map(|arn| arn.account.to_owned()).unwrap_or_default()
}

/// Whether the name of a file names the trail: by its ARN, with `_` for what no file may have in its name, or as one of the
/// parts between dots.
fn means(file: &str, trail: &Described) -> bool {
    let by_arn = trail.arn.as_ref().is_some_and(|arn| {
        let arn = arn.replace([':', '/'], "_");
        file.split_once(&arn).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('.'))
    });
    let by_name = || {
        let is_arn = file.contains("arn_");
        let is_part = |name: &String| {
            let rest = file.split_once('.').map_or("", |(_, rest)| rest);
            !name.is_empty()
                && rest.strip_prefix(name.as_str()).is_some_and(|end| end.is_empty() || end.starts_with('.'))
        };
        !is_arn && trail.name.as_ref().is_some_and(is_part)
    };
    by_arn || by_name()
}

fn basic(selector: &Basic) -> BasicSelector {
    BasicSelector {
        // What is not said is what CloudTrail does without.
        has_management_events: selector.include_management_events.unwrap_or(true),
        read_write: selector.read_write_type.clone().unwrap_or_else(|| "All".to_owned()),
        excluded_sources: selector.exclude_management_event_sources.iter().cloned().collect(),
    }
}

fn field(selector: &Condition) -> FieldSelector {
    let patterns = |whole: &Few<String>, start: &Few<String>, end: &Few<String>| {
        let whole = whole.iter().cloned().map(Pattern::Is);
        let start = start.iter().cloned().map(Pattern::Begins);
        whole.chain(start).chain(end.iter().cloned().map(Pattern::Ends)).collect()
    };
    FieldSelector {
        field: selector.on.clone().unwrap_or_default(),
        any_of: patterns(&selector.equals, &selector.starts_with, &selector.ends_with),
        none_of: patterns(&selector.not_equals, &selector.not_starts_with, &selector.not_ends_with),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trails(names: &[&str], files: &[(&str, bool)]) -> Vec<Read<bool>> {
        let mut saved = SavedTrails::default();
        for name in names {
            let arn = format!("arn:aws:cloudtrail:eu-west-1:111122223333:trail/{name}");
            saved.describe(&format!(r#"{{"Name": "{name}", "TrailARN": "{arn}"}}"#)).unwrap();
        }
        for (file, is_logging) in files {
            saved.status(file, &is_logging.to_string()).unwrap();
        }
        saved.known().into_iter().map(|known| known.trail.is_logging).collect()
    }

    #[test]
    fn a_status_is_of_the_trail_that_its_file_names_and_of_no_other() {
        for (names, file, expected) in [
            (&["audit"][..], "trail-status.audit.json", Some(true)),
            (&["audit"], "status.audit", Some(true)),
            (&["audit", "audit-2"], "trail-status.audit.json", Some(true)),
            (&["audit.eu", "audit"], "trail-status.audit.eu.json", None),
            (&["audit"], "trail-status.arn_aws_cloudtrail_eu-west-1_111122223333_trail_audit.json", Some(true)),
            (&["audit"], "trail-status.arn_aws_cloudtrail_us-east-1_111122223333_trail_audit.json", None),
            (&["audit"], "trail-status.arn_aws_cloudtrail_eu-west-1_111122223333_trail_audit-2.json", None),
            (&["audit"], "trail-status.json", None),
            (&["audit"], "trail-status.audit-2.json", None),
            (&["json"], "trail-status.json", Some(true)),
        ] {
            assert_eq!(trails(names, &[(file, true)])[0].clone().ok(), expected, "{names:?} {file}");
        }
        let twice = trails(&["audit"], &[("a.audit.json", true), ("b.audit.json", false)]);
        assert!(twice[0].as_ref().is_err_and(|why| why.contains("more than once")), "{twice:?}");
    }

    #[test]
    fn what_it_selects_is_what_was_saved_and_nothing_is_guessed() {
        let arn = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit";
        let selected = |described: &str, answer: Option<&str>| {
            let mut saved = SavedTrails::default();
            saved.describe(&format!(r#"{{"TrailARN": "{arn}"{described}}}"#)).unwrap();
            if let Some(answer) = answer {
                saved.select(&format!(r#"{{"TrailARN": "{arn}", {answer}}}"#)).unwrap();
            }
            saved.known()[0].trail.selectors.clone().ok()
        };
        assert_eq!(selected("", None), None);
        assert_eq!(selected(r#", "HasCustomEventSelectors": false"#, None), Some(Selectors::Default));
        assert_eq!(selected(r#", "HasCustomEventSelectors": true"#, None), None);
        assert_eq!(selected("", Some(r#""EventSelectors": []"#)), Some(Selectors::Default));
        let older = selected("", Some(r#""EventSelectors": [{"ReadWriteType": "ReadOnly"}]"#));
        let expected =
            BasicSelector { has_management_events: true, read_write: "ReadOnly".to_owned(), excluded_sources: vec![] };
        assert_eq!(older, Some(Selectors::Basic(vec![expected])));
        let newer =
            r#""AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]"#;
        assert!(
            matches!(selected("", Some(newer)), Some(Selectors::Advanced(all)) if all[0][0].field == "eventCategory")
        );
    }
}
