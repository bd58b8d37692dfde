//! The page that an audit writes: one file, no network, nothing of a stranger's in it but text.

use serde_json::{Value, json};

use crate::{changed, run};

fn page(from: &str) -> String {
    let (code, out, err) = run(&["audit", "--format", "html", "--from", from]);
    assert_eq!((code, err.as_str()), (2, ""));
    out
}

/// What stands between two marks, each time.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Vec<&'t str> {
    text.split(start).skip(1).filter_map(|rest| rest.split_once(end)).map(|(inner, _)| inner).collect()
}

fn island(page: &str) -> Value {
    serde_json::from_str(between(page, "id=\"island\">", "</script>")[0]).unwrap()
}

#[test]
fn the_page_loads_nothing_and_runs_nothing_but_its_own() {
    let page = page("tests/audit/saved");
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
    let policy = between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"")[0].replace("&#x27;", "'");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    for outside in
        ["http://", "https://", " src=", "url(", "@import", "<link", "<iframe", "<img", " onclick", "style=\""]
    {
        let known = ["url(#head-allow)", "url(#head-report)", "url(#head-revoke)"];
        let bare = known.iter().fold(page.clone(), |page, own| page.replace(own, ""));
        assert!(!bare.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("<style").count(), 1);
}

#[test]
fn a_cluster_has_a_picture_the_same_as_a_table_its_findings_and_all_rules() {
    let page = page("tests/audit/saved");
    assert_eq!(page.matches("<section class=\"cluster\"").count(), 1);
    let flows = between(&page, "<caption>The same flows", "</table>")[0].matches("<tr>").count() - 1;
    assert_eq!(page.matches("<path class=\"arrow ").count(), flows, "the table says what the picture says");
    assert_eq!(page.matches("<rect class=\"box ").count(), 6);
    assert_eq!(page.matches("<article ").count(), 9);
    let rules = island(&page);
    assert_eq!(rules["sections"][0].as_array().unwrap().len(), 14);
    let kubelet = rules["sections"][0].as_array().unwrap().iter().find(|rule| rule[2] == "revoke").unwrap();
    assert!(rules["reasons"][kubelet[3][0][0].as_str().unwrap()].is_string(), "{kubelet}");
    // For those who hear the page: each control has a name, each table headings, each picture a title.
    for id in ["words", "verdict", "severity", "reachable", "check"] {
        assert!(page.contains(&format!("<label for=\"{id}\">")) && page.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert_eq!(page.matches("<svg role=\"group\" aria-labelledby").count(), 1);
    assert!(page.contains("<th scope=\"col\">From</th>") && page.contains("aria-live=\"polite\""));
}

#[test]
fn text_of_strangers_stays_text() {
    let hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u{202e}\u{1b}[31m</svg>";
    let told = changed("page-hostile", |name, value| {
        for (key, field) in [("SecurityGroups", "GroupName"), ("SecurityGroupRules", "Description")] {
            for item in value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                item[field] = json!(hostile);
            }
        }
        if name == "managed-prefix-lists.json" {
            value["PrefixLists"][0]["PrefixListName"] = json!(hostile);
        }
    });
    let page = page(&told);
    for markup in ["<script>alert", "<img", "onerror=alert(1)>\"", "</svg>\"", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</svg>").count(), 2);
    assert!(page.contains("&lt;script&gt;"), "it is shown as it is");
    island(&page);
}

/// Lightness of a colour, by which contrast is measured. <https://www.w3.org/TR/WCAG22/#dfn-relative-luminance>
fn lightness(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(colour.get(at..at + 2).unwrap(), 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn every_colour_of_text_can_be_read_on_every_ground() {
    let page = page("tests/audit/saved");
    let style = between(&page, "<style>", "</style>")[0];
    let colour = |name: &str| -> [String; 2] {
        let pair = between(style, &format!("--{name}:light-dark("), ")")[0];
        let (light, dark) = pair.split_once(',').unwrap();
        [light.to_owned(), dark.to_owned()]
    };
    for ground in ["paper", "soft"].map(colour) {
        for (name, text) in ["ink", "quiet", "allow", "report", "revoke", "link"].map(|name| (name, colour(name))) {
            for (text, ground) in text.iter().zip(&ground) {
                let (one, other) = (lightness(text), lightness(ground));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= 4.5, "{name}: {text} on {ground}: {contrast}");
            }
        }
    }
}
