use super::super::flows::{Column, Edge, Node};
use super::*;
use crate::policy::model::Verdict;

/// The name of each colour of the palette with what it is in the light and in the dark.
fn palette() -> BTreeMap<&'static str, [[u8; 3]; 2]> {
    let rgb = |text: &str| [1, 3, 5].map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap());
    let root = STYLE.split_once(":root{").unwrap().1.split_once('}').unwrap().0;
    let colours = root.split(';').filter_map(|entry| entry.strip_prefix("--")?.split_once(":light-dark("));
    colours
        .map(|(name, both)| {
            let (light, dark) = both.strip_suffix(')').unwrap().split_once(',').unwrap();
            (name, [rgb(light), rgb(dark)])
        })
        .collect()
}

/// <https://www.w3.org/TR/WCAG22/#dfn-relative-luminance>
fn luminance(colour: [u8; 3]) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn whatever_the_template_asks_for_is_there() {
    let text = || "t".to_owned();
    let card = |command: &str| Card {
        id: text(),
        verdict: "revoke",
        rank: 1,
        check: text(),
        decision: text(),
        title: text(),
        group: text(),
        reason: text(),
        detail: text(),
        reachable: "yes",
        path: text(),
        command: command.to_owned(),
        advice: text(),
        controls: text(),
    };
    let node = || Node { column: Column::Nodes, name: text(), about: text(), worst: Verdict::Allow };
    let edge = Edge { from: 0, to: 1, verdict: Verdict::Allow, ports: text(), rules: 1 };
    let picture = Picture { cluster: text(), nodes: vec![node(), node()], edges: vec![edge] };
    let section = || Section {
        number: 0,
        name: text(),
        about: text(),
        is_open: true,
        drawing: Some(draw(&picture)),
        flows: vec![FlowRow { from: text(), to: text(), ports: text(), verdict: "allow", rules: 1 }],
        findings: vec![card("command"), card("")],
        groups: 1,
        rules: 1,
    };
    let list = || vec![text()];
    let page = Page {
        security: text(),
        title: text(),
        style: "",
        script: "",
        policy: text(),
        at: text(),
        totals: Totals::default(),
        findings: 2,
        sections: vec![section(), section()],
        narrowed: vec![Proposal {
            group: text(),
            close: list(),
            open: list(),
            commands: list(),
            terraform: text(),
            notes: list(),
        }],
        not_known: "",
        warnings: list(),
        missing: &[MissingInput { what: text(), costs: text(), command: text() }],
        island: text(),
        version: "",
    };
    filled(TEMPLATE, &page).unwrap();
    let wrong = TEMPLATE.replace("found.advice }}", "found.advise }}");
    assert!(filled(&wrong, &page).unwrap_err().to_string().contains("undefined"));
}

#[test]
fn whatever_is_read_stands_out_in_the_light_and_in_the_dark() {
    assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    let palette = palette();
    assert_eq!(palette.len(), 9);
    for text in ["ink", "quiet", "allow", "report", "revoke", "link"] {
        for ground in ["paper", "soft"] {
            for scheme in [0, 1] {
                let found = contrast(palette[text][scheme], palette[ground][scheme]);
                // Level AA for text of any size; lines and borders of controls need less, and are of these colours too.
                assert!(found >= 4.5, "{text} on {ground}, scheme {scheme}: {found:.2}");
            }
        }
    }
    // What is pressed or filled in has a border of such a colour.
    assert!(
        STYLE.contains("input,select,button{") && STYLE.contains("border:1px solid var(--quiet);border-radius:.35rem")
    );
}
