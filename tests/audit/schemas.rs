//! What an audit writes for other programs fits the schemas of these formats: our own, and that of SARIF.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::formats::hostile;
use crate::json_schema::misfits;
use crate::narrow::open_to_all;
use crate::{answer, changed, folder, run, without};

fn schema(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// With nothing allowed that is not described: readers may take more, we write no more.
fn closed(mut schema: Value) -> Value {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(keywords) => {
                if keywords.contains_key("properties") && !keywords.contains_key("additionalProperties") {
                    keywords.insert("additionalProperties".to_owned(), json!(false));
                }
                keywords.values_mut().for_each(close);
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}

#[test]
fn each_answer_fits_the_schema_that_is_printed() {
    let (code, out, _) = run(&["audit", "--schema"]);
    assert_eq!(code, 0);
    let schema: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema["$id"], "urn:eks-sg-guard:audit:1");
    let schema = closed(schema);
    let usual = answer(&["--from", "tests/audit/saved"]);
    let old = folder("schema-old", &[("old.json".to_owned(), usual.to_string().into_bytes())]) + "/old.json";
    let few = without("schema-few", &["interfaces", "instances", "entries"]);
    let cut = changed("schema-cut", |_, value| {
        if let Some(rules) = value.get_mut("SecurityGroupRules").and_then(Value::as_array_mut) {
            rules[0]["IpProtocol"] = json!("quic");
            rules[1]["IpProtocol"] = json!("icmp");
            rules.pop();
            value["NextToken"] = json!("more");
        }
    });
    let answers = [
        usual,
        answer(&["--from", &few]),
        answer(&["--from", &cut, "--compare", &old]),
        answer(&["--from", &hostile("schema-hostile"), "--policy", "strict"]),
        answer(&["--from", &few, "--narrow"]),
        answer(&["--from", &open_to_all("schema-narrow", (0, 65535)), "--narrow"]),
    ];
    for answer in answers {
        assert!(!answer["findings"].as_array().unwrap().is_empty());
        assert_eq!(misfits(&schema, &answer), Vec::<String>::new());
        let mut wrong = answer;
        wrong["findings"][0]["verdict"] = json!("maybe");
        assert_eq!(misfits(&schema, &wrong).len(), 1);
    }
}

#[test]
fn sarif_fits_the_schema_of_the_standard() {
    let schema = schema("tests/audit/sarif-2.1.0.schema.json");
    for from in ["tests/audit/saved", &hostile("sarif-hostile"), &without("sarif-few", &["interfaces", "cluster.prod"])]
    {
        let (code, out, _) = run(&["audit", "--format", "sarif", "--from", from]);
        assert!(code == 0 || code == 2, "{from}");
        let mut sarif: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(misfits(&schema, &sarif), Vec::<String>::new(), "{from}");
        sarif["runs"][0]["results"][0]["level"] = json!("worst");
        sarif["runs"][0]["results"][0]["surprise"] = json!(1);
        assert_eq!(misfits(&schema, &sarif).len(), 2);
    }
}
