//! `--narrow`: for a forbidden rule for addresses, who is really attached and needs it. It proposes; nothing is opened.

use serde_json::{Value, json};

use crate::{NODE, answer, changed, folder, run};

const CLUSTER: &str = "sg-0c1a000000000001a";
const BALANCER: &str = "sg-0e1a000000000003c";
/// The rule of the saved account that opens the kubelet to the world.
const WORLD: &str = "sgr-0000000000000000a";

/// The saved account whose nodes are let in by their world rule alone, which is for these ports.
pub(crate) fn open_to_all(test: &str, ports: (u16, u16)) -> String {
    changed(test, |_, value| nodes_alone(value, ports))
}

fn nodes_alone(value: &mut Value, (from, to): (u16, u16)) {
    for group in value.get_mut("SecurityGroups").and_then(Value::as_array_mut).into_iter().flatten() {
        if group["GroupId"] == NODE {
            group["IpPermissions"] = json!([]);
        }
    }
    if let Some(rules) = value.get_mut("SecurityGroupRules").and_then(Value::as_array_mut) {
        let is_kept =
            |rule: &Value| rule["GroupId"] != NODE || rule["IsEgress"] == true || rule["SecurityGroupRuleId"] == WORLD;
        rules.retain(is_kept);
        for rule in rules.iter_mut().filter(|rule| rule["SecurityGroupRuleId"] == WORLD) {
            (rule["FromPort"], rule["ToPort"]) = (json!(from), json!(to));
        }
    }
}

/// What is proposed for the nodes' group.
fn narrowed(from: &str, more: &[&str]) -> Value {
    let all = answer(&[&["--from", from, "--narrow"], more].concat());
    let found = all["narrowed"].as_array().unwrap().iter().find(|one| one["group"]["id"] == NODE);
    found.unwrap_or_else(|| panic!("{}", all["narrowed"])).clone()
}

/// `tcp 443 sg-…` of each rule that would be opened.
fn opened(narrowed: &Value) -> Vec<String> {
    let words = |opening: &Value| {
        let rule = &opening["rule"];
        let (from, to) = (&rule["from_port"], &rule["to_port"]);
        let ports = if from == to { from.to_string() } else { format!("{from}-{to}") };
        format!("{} {ports} {}", rule["protocol"].as_str().unwrap(), rule["peer"]["group"].as_str().unwrap())
    };
    narrowed["open"].as_array().unwrap().iter().map(words).collect()
}

#[test]
fn who_is_attached_and_needs_a_port_is_proposed_for_it_and_nobody_else() {
    let kubelet = [format!("tcp 10250 {CLUSTER}"), format!("tcp 10250 {NODE}")];
    let everything = [
        format!("tcp 443 {CLUSTER}"),
        format!("tcp 10250 {CLUSTER}"),
        format!("tcp 53 {NODE}"),
        format!("tcp 1025-65535 {NODE}"),
        format!("tcp 30000-32767 {BALANCER}"),
    ];
    let no_one: [String; 0] = [];
    for (name, ports, expected) in [
        ("kubelet", (10250, 10250), &kubelet[..]),
        ("beside-kubelet", (10240, 10260), &[format!("tcp 10250 {CLUSTER}"), format!("tcp 10240-10260 {NODE}")]),
        ("dns", (53, 53), &[format!("tcp 53 {NODE}")]),
        ("ssh", (22, 22), &no_one),
        ("everything", (0, 65535), &everything),
    ] {
        let narrowed = narrowed(&open_to_all(&format!("narrow-{name}"), ports), &[]);
        assert_eq!(opened(&narrowed), expected, "{name}");
        let (opens, closes): (Vec<&str>, Vec<&str>) = narrowed["commands"]
            .as_array()
            .unwrap()
            .iter()
            .map(|command| command.as_str().unwrap())
            .partition(|command| command.contains("authorize"));
        assert!(opens.iter().all(|command| command.ends_with(" --dry-run")), "{opens:?}");
        assert_eq!(opens.len(), usize::from(!expected.is_empty()));
        let close = format!(
            "aws ec2 revoke-security-group-ingress --region eu-west-1 --group-id {NODE} --security-group-rule-ids {WORLD}"
        );
        assert_eq!(closes, [close]);
        let resources = narrowed["terraform"].as_str().map_or(0, |text| text.matches("resource \"").count());
        assert_eq!(resources, expected.len(), "{name}");
        if expected.is_empty() {
            assert_eq!(
                narrowed["notes"][0],
                "nothing is attached that needs it: the cluster depends on no port of these rules"
            );
        } else {
            assert_eq!(narrowed["notes"], json!([]), "{name}");
        }
    }
}

#[test]
fn what_is_open_by_other_rules_is_not_opened_again() {
    let narrowed = narrowed("tests/audit/saved", &[]);
    assert_eq!(opened(&narrowed), [""; 0]);
    assert_eq!(
        narrowed["notes"],
        json!(["nothing is attached that needs it: what the cluster depends on is open by other rules"])
    );
    assert_eq!(narrowed["terraform"], Value::Null);
}

#[test]
fn rules_that_go_together_are_one_proposal() {
    let both = changed("narrow-both", |_, value| {
        nodes_alone(value, (10250, 10250));
        let Some(rules) = value.get_mut("SecurityGroupRules").and_then(Value::as_array_mut) else { return };
        let world = rules.iter().find(|rule| rule["SecurityGroupRuleId"] == WORLD).unwrap().clone();
        let half = |id: &str, key: &str, peer: &str| {
            let mut rule = world.clone();
            rule.as_object_mut().unwrap().remove("CidrIpv4");
            (rule["SecurityGroupRuleId"], rule[key]) = (json!(id), json!(peer));
            rule
        };
        rules.extend([
            half("sgr-000000000000000aa", "CidrIpv6", "::/0"),
            half("sgr-000000000000000ab", "CidrIpv4", "128.0.0.0/1"),
            half("sgr-000000000000000ac", "PrefixListId", "pl-0a1b2c3d4e5f60009"),
        ]);
    });
    let narrowed = narrowed(&both, &[]);
    assert_eq!(opened(&narrowed), [format!("tcp 10250 {CLUSTER}"), format!("tcp 10250 {NODE}")]);
    assert_eq!(narrowed["close"].as_array().unwrap().len(), 4);
    assert_eq!(narrowed["findings"].as_array().unwrap().len(), 4);
    assert_eq!(narrowed["commands"].as_array().unwrap().len(), 5);
}

#[test]
fn what_the_policy_forbids_is_not_proposed() {
    let policy = "version: 1\nextends: standard\nclauses:\n  - id: no-kubelet-between-nodes\n    roles: [node]\n    \
                  protocol: tcp\n    ports: [10250]\n    from: [self]\n    verdict: revoke\n    severity: high\n    \
                  reason: nodes have no business there\n";
    let folder = folder("narrow-policy", &[("policy.yaml".to_owned(), policy.into())]);
    let from = open_to_all("narrow-forbidden", (10250, 10250));
    let narrowed = narrowed(&from, &["--policy", &format!("{folder}/policy.yaml")]);
    assert_eq!(opened(&narrowed), [format!("tcp 10250 {CLUSTER}")]);
    let note = narrowed["notes"][0].as_str().unwrap();
    assert!(note.starts_with(&format!("the policy forbids TCP 10250 from {NODE} too")), "{note}");
}

#[test]
fn node_ports_are_where_the_cluster_says() {
    let moved = changed("narrow-moved", |name, value| {
        nodes_alone(value, (0, 65535));
        if name == "cluster.prod.json" {
            value["cluster"]["kubeApiServerConfig"] =
                json!({"serviceNodePortRange": {"minPort": 9000, "maxPort": 9099}});
        }
    });
    let opened = opened(&narrowed(&moved, &[]));
    assert!(opened.contains(&format!("tcp 9000-9099 {BALANCER}")), "{opened:?}");
}

#[test]
fn nobody_is_a_peer_whom_only_tags_make_one_or_who_is_attached_to_nothing() {
    // The load balancer's interfaces are gone: its tags are left.
    let gone = changed("narrow-gone", |_, value| {
        nodes_alone(value, (0, 65535));
        if let Some(interfaces) = value.get_mut("NetworkInterfaces").and_then(Value::as_array_mut) {
            interfaces.retain(|interface| !interface["Groups"].to_string().contains(BALANCER));
        }
    });
    let opened_now = opened(&narrowed(&gone, &[]));
    assert!(!opened_now.iter().any(|rule| rule.contains(BALANCER)) && opened_now.len() == 4, "{opened_now:?}");
    // What was not read is no proof that nobody is there.
    let few: Vec<_> = crate::files().into_iter().filter(|(name, _)| !name.contains("interfaces")).collect();
    let few = narrowed(&folder("narrow-few", &few), &[]);
    let notes = few["notes"].to_string();
    assert!(notes.contains("somebody who needs it may not be seen: not all was read of network-interfaces"), "{notes}");
}

#[test]
fn people_read_it_in_order_and_nothing_of_a_stranger_is_obeyed() {
    let hostile = changed("narrow-hostile", |_, value| {
        nodes_alone(value, (10250, 10250));
        for group in value.get_mut("SecurityGroups").and_then(Value::as_array_mut).into_iter().flatten() {
            group["GroupName"] = json!("</li><script>x\u{1b}[31m'; reboot\n\u{202e}");
        }
    });
    let (code, out, err) = run(&["audit", "--narrow", "--from", &open_to_all("narrow-text", (10250, 10250))]);
    assert_eq!((code, err.as_str()), (2, ""));
    let proposals = out.split("\nIn place of").nth(1).unwrap().split("\nWhat to know").next().unwrap();
    insta::with_settings!({ omit_expression => true, snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("audit_narrow", proposals);
    });
    let (_, out, _) = run(&["audit", "--narrow", "--from", &hostile]);
    assert!(!out.contains('\u{1b}') && !out.contains('\u{202e}') && !out.contains("\n\u{202e}"), "{out}");
    let (_, page, _) = run(&["audit", "--narrow", "--format", "html", "--from", &hostile]);
    assert!(page.contains("<h2>In place of what is forbidden</h2>") && page.matches("<script").count() == 2);
    assert!(page.contains("aws ec2 authorize-security-group-ingress") && page.contains("--dry-run"));
}

#[test]
fn without_it_nothing_is_proposed_and_other_formats_say_that_they_have_no_room() {
    assert_eq!(answer(&["--from", "tests/audit/saved"])["narrowed"], Value::Null);
    for format in ["csv", "sarif", "asff", "mermaid"] {
        let (code, _, err) = run(&["audit", "--narrow", "--format", format, "--from", "tests/audit/saved"]);
        assert_eq!(code, 1);
        assert!(err.contains("`--narrow` is for the formats `text`, `json` and `html`"), "{err}");
    }
    let (code, _, err) = run(&["audit", "--narrow", "--fix", "--from", "tests/audit/saved"]);
    assert_eq!(code, 1, "{err}");
}
