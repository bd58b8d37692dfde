//! A rule that was edited in place to something forbidden: what it becomes, in which order, and what people read of it.

use eks_sg_guard::model::baseline::KnownRule;
use eks_sg_guard::model::mode::Restore;
use eks_sg_guard::report::finding::Finding;

use super::*;

/// What `sgr-1` is known as.
fn https() -> Rule {
    let tags = [("team".to_owned(), "a".to_owned())].into();
    let description = Some("from the office".to_owned());
    Rule { tags, description, ..rule("sgr-1", Packets::Tcp(443, 443), "10.0.0.0/8") }
}

/// `ModifySecurityGroupRules` of these rules, each to the open kubelet's port.
fn edits(event_id: &str, ids: &[&str]) -> Value {
    let update = |id: &&str| {
        json!({"SecurityGroupRuleId": id, "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250,
               "CidrIpv4": "0.0.0.0/0"}})
    };
    let mut event = call("ModifySecurityGroupRules", event_id);
    let updates: Vec<Value> = ids.iter().map(update).collect();
    event["detail"]["requestParameters"] =
        json!({"ModifySecurityGroupRulesRequest": {"GroupId": GROUP, "SecurityGroupRule": updates}});
    event
}

/// The edit of one rule to this content.
fn edits_to(event_id: &str, rule: &Rule) -> Value {
    let mut event = edits(event_id, &[&rule.id]);
    let update = &mut event["detail"]["requestParameters"]["ModifySecurityGroupRulesRequest"]["SecurityGroupRule"][0];
    let (wire, Peer::Cidr(net)) = (json!(rule), &rule.peer) else { panic!("{rule:?}") };
    update["SecurityGroupRule"] = json!({"IpProtocol": wire["protocol"], "FromPort": wire["from_port"],
        "ToPort": wire["to_port"], "CidrIpv4": net.to_string()});
    event
}

fn becomes(world: &World, rule: Rule) {
    let mut rules = world.rules.lock().unwrap();
    let now = rules.iter_mut().find(|now| now.id == rule.id).unwrap();
    *now = Rule { tags: now.tags.clone(), ..rule };
}

impl Case {
    async fn edit(&self, ids: &[&str]) -> FunctionResponse {
        for id in ids {
            becomes(&self.world, kubelet(id));
        }
        self.world.calls.lock().unwrap().clear();
        self.guard.handle(&edits("e-1", ids), Timestamp::MAX).await.unwrap()
    }

    /// The same world under another setting.
    fn restoring(&self, mode: Mode, restore: Restore) -> Self {
        let modes = Modes::new(mode, Mode::Report).restoring(restore);
        let policy = builtin::policy("standard").unwrap().clone();
        Self::in_modes(policy, Arc::clone(&self.world), modes, 50, true)
    }

    fn rules(&self) -> Vec<Rule> {
        self.world.rules.lock().unwrap().clone()
    }

    fn known(&self, id: &str) -> Rule {
        self.world.baselines.lock().unwrap()[GROUP].rules[id].rule.clone()
    }
}

fn of<'r>(response: &'r FunctionResponse, id: &str) -> &'r Finding {
    let findings = response.records.iter().flat_map(|record| &record.findings);
    findings.into_iter().find(|finding| finding.rule().is_some_and(|rule| rule.id == id)).unwrap()
}

#[tokio::test]
async fn a_rule_that_was_edited_to_something_forbidden_is_put_back_by_id_and_read_back() {
    let case = looked_at(vec![https()]).await;
    let response = case.edit(&["sgr-1"]).await;
    assert_eq!(case.rules(), [https()], "in full, and no tag is lost");
    let finding = of(&response, "sgr-1");
    assert_eq!((finding.action, finding.known, finding.before.as_ref()), (Action::Restored, false, Some(&https())));
    assert_eq!(finding.rule().unwrap().packets, Packets::Tcp(10250, 10250), "as it was found");
    assert!(finding.closed_at.is_some() && finding.connections.is_some());
    assert_eq!(response.records[0].outcome, Outcome::Remediated);
    let calls = case.world.calls("");
    let put_back = calls.iter().position(|line| line == "modify sgr-1").unwrap();
    assert_eq!(calls.get(put_back + 1).map(String::as_str), Some("rules"), "{calls:?}");
    assert!(case.world.calls("revoke").is_empty());
    assert_eq!(case.known("sgr-1"), https(), "and known as that");

    let text = email::text(case.world.notices().last().unwrap());
    for part in [
        "The guard put the rule back",
        "From the call to the read that showed it put back",
        "Closed: put back to what it was, and EC2 shows it so",
        "It is now what it was before the edit: TCP 443 from 10.0.0.0/8",
        "aws ec2 modify-security-group-rules --region us-east-1 --group-id sg-0a1 --security-group-rules",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // The same event again, and our own call as an event.
    for event in [edits("e-1", &["sgr-1"]), edits_to("e-2", &https())] {
        case.guard.handle(&event, Timestamp::MAX).await.unwrap();
    }
    assert_eq!((case.rules(), case.world.notices().len()), (vec![https()], 1), "nothing to say and nothing to do");
}

#[tokio::test]
async fn several_rules_are_put_back_each_to_its_own_known_content_also_where_that_is_forbidden() {
    let ssh = rule("sgr-2", Packets::Tcp(22, 22), "0.0.0.0/0");
    let case = looked_at(vec![kubelet("sgr-0"), https(), ssh.clone()]).await;
    becomes(&case.world, rule("sgr-0", Packets::Tcp(2379, 2379), "0.0.0.0/0"));
    becomes(&case.world, kubelet("sgr-1"));
    becomes(&case.world, rule("sgr-2", Packets::Tcp(10255, 10255), "0.0.0.0/0"));
    case.world.rules.lock().unwrap().push(rule("sgr-9", Packets::Tcp(3389, 3389), "0.0.0.0/0"));
    let expected = [
        ("sgr-0".to_owned(), Action::Restored),
        ("sgr-1".to_owned(), Action::Restored),
        ("sgr-2".to_owned(), Action::Restored),
        ("sgr-9".to_owned(), Action::Revoked),
    ];
    assert_eq!(case.sweep().await, expected);
    assert_eq!(case.rules(), [kubelet("sgr-0"), https(), ssh], "tolerated before, and no worse now");
    let calls = case.world.calls("modify");
    let one_by_one = ["modify sgr-0 sgr-1 sgr-2", "modify sgr-0", "modify sgr-1", "modify sgr-2", "modify sgr-0"];
    assert_eq!(calls, one_by_one, "what the first one was, the second is until it is put back");
}

/// Somebody does something right before the n-th call that starts so.
fn before_call(world: &World, call: &'static str, n: usize, happen: impl Fn(&World) + Send + 'static) {
    *world.surprise.lock().unwrap() = Some((call, n, Box::new(happen)));
}

fn anybody(id: &str, port: u16) -> Rule {
    rule(id, Packets::Tcp(port, port), "0.0.0.0/0")
}

#[tokio::test]
async fn an_edit_to_what_is_not_forbidden_and_a_new_description_are_left_alone() {
    let edited = Some("edited".to_owned());
    for (now, action) in [
        (rule("sgr-1", Packets::Tcp(8443, 8443), "10.0.0.0/8"), None),
        (anybody("sgr-1", 443), Some(Action::Reported)),
        (Rule { description: edited, ..https() }, None),
    ] {
        let case = looked_at(vec![https()]).await;
        becomes(&case.world, now.clone());
        let response = case.guard.handle(&edits_to("e-1", &now), Timestamp::MAX).await.unwrap();
        assert_eq!(actions(&response), Vec::from_iter(action.map(|action| ("sgr-1".to_owned(), action))));
        assert_eq!(case.rules()[0].packets, now.packets);
        assert!(case.world.calls("modify").is_empty() && case.world.calls("revoke").is_empty());
    }
}

#[tokio::test]
async fn what_happens_meanwhile_opens_nothing_and_leaves_nothing_open() {
    type Happening = fn(&World);
    let deletes: Happening = |world| world.rules.lock().unwrap().clear();
    let edits_again: Happening = |world| becomes(world, anybody("sgr-1", 2379));
    let narrows: Happening = |world| becomes(world, rule("sgr-1", Packets::Tcp(8443, 8443), "10.0.0.0/8"));
    let undoes: Happening = |world| becomes(world, https());
    for (what, call, n, happen, action, left) in [
        ("deleted before we look", "rules", 0, deletes, Action::WasOpen, None),
        ("deleted after the last look", "modify", 0, deletes, Action::AlreadyGone, None),
        ("deleted after it was put back", "rules", 1, deletes, Action::AlreadyGone, None),
        ("edited twice before we look", "rules", 0, edits_again, Action::Restored, Some(https())),
        ("edited after the last look", "modify", 0, edits_again, Action::Restored, Some(https())),
        ("edited after it was put back", "rules", 1, edits_again, Action::Restored, Some(https())),
        ("somebody is as quick", "modify", 0, undoes, Action::Restored, Some(https())),
        (
            "made harmless after it was put back",
            "rules",
            1,
            narrows,
            Action::Changed,
            Some(rule("sgr-1", Packets::Tcp(8443, 8443), "10.0.0.0/8")),
        ),
    ] {
        let case = looked_at(vec![https()]).await;
        becomes(&case.world, kubelet("sgr-1"));
        before_call(&case.world, call, n, happen);
        let response = case.guard.handle(&edits("e-1", &["sgr-1"]), Timestamp::MAX).await.unwrap();
        let id = |rule: &Rule| rule.id.clone();
        let found: Vec<Action> = actions(&response).into_iter().map(|(_, action)| action).collect();
        assert_eq!(found, [action], "{what}");
        let left = left.map(|left| (id(&left), left.packets));
        let is: Option<(String, Packets)> = case.rules().first().map(|rule| (id(rule), rule.packets));
        assert_eq!(is, left, "{what}");
        assert!(case.world.calls("revoke").is_empty(), "{what}");
    }
}

#[tokio::test]
async fn what_ec2_denies_is_a_failure_and_not_revoked_instead_and_the_next_try_goes_on() {
    let case = looked_at(vec![https()]).await;
    becomes(&case.world, kubelet("sgr-1"));
    *case.world.denied.lock().unwrap() = vec!["sgr-1".into()];
    let error = case.guard.handle(&edits("e-1", &["sgr-1"]), Timestamp::MAX).await.unwrap_err().to_string();
    assert!(error.contains("still open, not put back: not allowed to call `ec2:ModifySecurityGroupRules`"), "{error}");
    assert_eq!(case.rules()[0].packets, kubelet("").packets);
    let notices = case.world.notices();
    let text = email::text(notices.last().unwrap());
    for part in ["[CRITICAL]", "could NOT close it", "Before the edit it was TCP 443 from 10.0.0.0/8"] {
        assert!(text.contains(part) || notices.last().unwrap().subject.contains(part), "{part}: {text}");
    }
    assert!(case.world.calls("revoke").is_empty(), "nothing is lost that can be put back when the right is granted");
    case.world.denied.lock().unwrap().clear();
    let response = case.guard.handle(&edits("e-1", &["sgr-1"]), Timestamp::MAX).await.unwrap();
    assert_eq!(
        (of(&response, "sgr-1").action, case.rules()),
        (Action::Restored, vec![https()]),
        "the next try goes on"
    );
}

#[tokio::test]
async fn a_read_back_that_lags_is_waited_for_and_one_that_never_shows_it_is_a_failure() {
    for (reads, action) in [(2, Some(Action::Restored)), (1000, None)] {
        let case = looked_at(vec![https()]).await;
        becomes(&case.world, kubelet("sgr-1"));
        before_call(&case.world, "modify", 0, move |world| {
            world.lagging.lock().unwrap().insert("sgr-1".into(), (reads, kubelet("sgr-1")));
        });
        let response = case.guard.handle(&edits("e-1", &["sgr-1"]), Timestamp::MAX).await;
        match action {
            Some(action) => assert_eq!(of(&response.unwrap(), "sgr-1").action, action),
            None => assert!(response.unwrap_err().to_string().contains("something else when it was read back")),
        }
    }
}

#[tokio::test]
async fn what_another_rule_lets_in_by_now_is_not_put_back_but_revoked_and_nothing_is_lost() {
    let case = looked_at(vec![https()]).await;
    case.world.rules.lock().unwrap().push(Rule { id: "sgr-2".into(), ..https() });
    let response = case.edit(&["sgr-1"]).await;
    let finding = of(&response, "sgr-1");
    assert_eq!((finding.action, case.world.left()), (Action::Revoked, vec!["sgr-2".to_owned()]));
    let detail = finding.detail.as_deref().unwrap();
    assert!(detail.starts_with("lost is what the rule was before it was edited: TCP 443 from 10.0.0.0/8"), "{detail}");
    assert!(detail.contains("rule `sgr-2` lets in the same by now"), "{detail}");
    let calls = case.world.calls("");
    let order: Vec<&str> = calls.iter().map(String::as_str).filter(|line| !line.starts_with("state")).collect();
    let at = order.iter().position(|line| *line == "modify sgr-1").unwrap();
    assert_eq!(
        order[at..at + 5],
        ["modify sgr-1", "rules", "rules", "revoke ingress sgr-1", "rules"],
        "looked at just before"
    );
}

#[tokio::test]
async fn told_never_to_put_back_it_is_revoked_and_the_notice_begins_with_what_was_lost() {
    let case = looked_at(vec![https()]).await.restoring(Mode::Enforce, Restore::Never);
    let response = case.edit(&["sgr-1"]).await;
    let finding = of(&response, "sgr-1");
    assert_eq!((finding.action, finding.before.as_ref()), (Action::Revoked, Some(&https())));
    assert!(case.rules().is_empty() && case.world.calls("modify").is_empty());
    let notice = case.world.notices().pop().unwrap();
    let lost = "LOST with it, because it had been edited in place: TCP 443 from 10.0.0.0/8";
    assert!(notice.headline.contains(lost), "{}", notice.headline);
    let [again] = notice.urgent.as_slice() else { panic!("{:?}", notice.urgent) };
    assert!(again.title.starts_with("This reopens what was lost, TCP 443 from 10.0.0.0/8"), "{again:?}");
    assert!(again.text.contains("authorize-security-group-ingress") && again.text.ends_with(" --dry-run"), "{again:?}");
    let why = "it was not put back, because `GUARD_RESTORE` is `never`";
    assert!(notice.sections[0].lines.iter().any(|line| line.contains(why)), "{:?}", notice.sections[0]);
}

#[tokio::test]
async fn in_report_mode_nothing_is_called_and_people_read_what_would_be() {
    for (restore, said) in
        [(Restore::Known, "it would be put back to"), (Restore::Never, "it would not be put back to")]
    {
        let case = looked_at(vec![https()]).await.restoring(Mode::Report, restore);
        let response = case.edit(&["sgr-1"]).await;
        let finding = of(&response, "sgr-1");
        assert_eq!((finding.action, finding.before.as_ref()), (Action::WouldRevoke, Some(&https())));
        let detail = finding.detail.as_deref().unwrap();
        assert!(detail.contains(&format!("{said} TCP 443 from 10.0.0.0/8")), "{detail}");
        assert!(case.world.calls("modify").is_empty() && case.world.calls("revoke").is_empty());
    }
}

#[tokio::test]
async fn nothing_is_put_back_to_what_was_not_known_for_that_very_rule() {
    type Spoils = fn(&mut eks_sg_guard::model::baseline::KnownRule);
    let turned: Spoils = |known| known.rule.direction = Direction::Egress;
    let another: Spoils = |known| known.rule.id = "sgr-2".into();
    for spoil in [turned, another] {
        let case = looked_at(vec![https()]).await;
        case.world.baselines.lock().unwrap().get_mut(GROUP).unwrap().rules.values_mut().for_each(spoil);
        let response = case.edit(&["sgr-1"]).await;
        assert_eq!((of(&response, "sgr-1").action, case.rules()), (Action::Revoked, vec![]));
    }
    // A rule that nobody knew; one of a guard without a table; a state that nobody looked at for long.
    let case = looked_at(vec![]).await;
    case.world.rules.lock().unwrap().push(https());
    assert_eq!(of(&case.edit(&["sgr-1"]).await, "sgr-1").action, Action::Revoked);
    let case = Case::new(vec![https()]);
    assert_eq!(of(&case.edit(&["sgr-1"]).await, "sgr-1").action, Action::Revoked);
    let case = looked_at(vec![https()]).await;
    case.world.milliseconds.fetch_add(8 * 24 * 3_600_000, Ordering::Relaxed);
    assert_eq!(of(&case.edit(&["sgr-1"]).await, "sgr-1").action, Action::WouldRevoke);
}

#[tokio::test]
async fn what_an_event_made_is_what_it_made_and_not_what_somebody_made_of_it_since() {
    let case = looked_at(vec![https()]).await;
    becomes(&case.world, anybody("sgr-1", 2379));
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(of(&response, "sgr-1").action, Action::Restored, "the event that made it came again");
    case.world.rules.lock().unwrap().push(anybody("sgr-2", 2379));
    let response = case.guard.handle(&authorize("e-2", &["sgr-2"]), Timestamp::MAX).await.unwrap();
    assert_eq!(of(&response, "sgr-2").action, Action::Revoked, "nobody knew it");
}

#[tokio::test]
async fn a_list_that_gained_the_world_is_no_content_to_go_back_to() {
    let of_list = Rule { peer: Peer::PrefixList("pl-1".into()), ..https() };
    let entries = |cidr: &str| Some(Addresses::from_iter([cidr.parse::<ipnet::IpNet>().unwrap()]));
    for (cidr, action, left) in
        [("10.0.0.0/8", Action::Restored, vec![Packets::Tcp(22, 22)]), ("0.0.0.0/0", Action::Revoked, vec![])]
    {
        let known = Rule { packets: Packets::Tcp(22, 22), ..of_list.clone() };
        let case = Case::with_state(Arc::new(World { rules: Mutex::new(vec![known]), ..World::default() }));
        *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
        *case.world.prefix_list.lock().unwrap() = entries("10.0.0.0/8");
        case.sweep().await;
        *case.world.prefix_list.lock().unwrap() = entries(cidr);
        let response = case.edit(&["sgr-1"]).await;
        assert_eq!(of(&response, "sgr-1").action, action, "{cidr}");
        assert_eq!(case.rules().iter().map(|rule| rule.packets).collect::<Vec<_>>(), left);
        let calls = case.world.calls("");
        let read = calls.iter().position(|line| line == "prefix_list").unwrap();
        let first = calls.iter().position(|line| line.starts_with("modify") || line.starts_with("revoke")).unwrap();
        assert!(read < first, "what it would be again is read first: {calls:?}");
    }
}

/// Since its group was only a load balancer's then, it counts as new: what stands there now, which is forbidden, is no
/// reason against what stood there before, which is not.
#[tokio::test]
async fn what_is_allowed_is_content_to_go_back_to_also_where_it_counts_as_new() {
    let case = Case::with_state(Arc::new(World { rules: Mutex::new(vec![https()]), ..World::default() }));
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    case.sweep().await;
    let baselines = &case.world.baselines;
    let balancers = |known: &mut KnownRule| known.context.only_load_balancer = true;
    baselines.lock().unwrap().get_mut(GROUP).unwrap().rules.values_mut().for_each(balancers);
    let response = case.edit(&["sgr-1"]).await;
    assert_eq!(of(&response, "sgr-1").action, Action::Restored);
    assert_eq!(case.rules()[0].packets, Packets::Tcp(443, 443));
}

#[tokio::test]
async fn a_rule_that_is_put_back_counts_for_the_limit_once() {
    let known: Vec<Rule> =
        (1..=3).map(|n| rule(&format!("sgr-{n}"), Packets::Tcp(440 + n, 440 + n), "10.0.0.0/8")).collect();
    let world = looked_at(known).await.world;
    let policy = builtin::policy("standard").unwrap().clone();
    let case = Case::under(policy, world, (Mode::Enforce, Mode::Report), 2, true);
    for id in ["sgr-1", "sgr-2", "sgr-3"] {
        becomes(&case.world, kubelet(id));
    }
    case.guard.handle(&edits("e-1", &["sgr-1", "sgr-2", "sgr-3"]), Timestamp::MAX).await.unwrap_err();
    let open = case.rules().into_iter().filter(|rule| rule.packets == kubelet("").packets).count();
    assert_eq!(open, 1, "the rest is tried again");
}

#[tokio::test]
async fn a_requirement_that_stood_on_a_rule_stands_on_it_again() {
    let mut rules = healthy();
    let nodes = rules.iter().position(|rule| rule.id == "sgr-n").unwrap();
    let edited = rules[nodes].clone();
    rules.push(kubelet("sgr-9"));
    let case = looked_at(rules).await;
    *case.world.node_groups.lock().unwrap() = vec![GROUP.to_owned()];
    becomes(&case.world, anybody("sgr-n", 2379));
    let response = case.guard.handle(&edits("e-1", &["sgr-n"]), Timestamp::MAX).await.unwrap();
    assert_eq!(of(&response, "sgr-n").action, Action::Restored);
    assert_eq!(case.rules()[nodes], edited);
    assert_eq!(requirements(&response), Vec::<&str>::new());

    let never = case.restoring(Mode::Enforce, Restore::Never);
    becomes(&never.world, anybody("sgr-n", 2379));
    let response = never.guard.handle(&edits("e-2", &["sgr-n"]), Timestamp::MAX).await.unwrap();
    assert!(!requirements(&response).is_empty(), "as it is without");
}

/// Each edit has its own story, with who made it.
#[tokio::test]
async fn a_rule_that_is_edited_again_before_people_heard_of_the_first_edit_is_told_twice() {
    for minutes in [0, 5] {
        let case = looked_at(vec![https()]).await;
        becomes(&case.world, kubelet("sgr-1"));
        *case.world.channel_is_down.lock().unwrap() = true;
        case.guard.handle(&edits("e-1", &["sgr-1"]), Timestamp::MAX).await.unwrap_err();
        assert_eq!(case.rules(), [https()]);
        *case.world.channel_is_down.lock().unwrap() = false;
        becomes(&case.world, kubelet("sgr-1"));
        case.world.milliseconds.fetch_add(minutes * 60_000, Ordering::Relaxed);
        case.guard.handle(&edits("e-2", &["sgr-1"]), Timestamp::MAX).await.unwrap();
        case.guard.handle(&edits("e-1", &["sgr-1"]), Timestamp::MAX).await.unwrap();
        let sent = case.world.sent.lock().unwrap();
        let records = sent.iter().filter_map(|message| message.record.as_deref());
        let records = records.map(|json| serde_json::from_str::<Record>(json).unwrap());
        let mut told: Vec<(String, Action)> =
            records.map(|record| (record.event_id.unwrap(), record.findings[0].action)).collect();
        told.sort();
        let restored = |event: &str| (event.to_owned(), Action::Restored);
        assert_eq!(told, [restored("e-1"), restored("e-2")], "{minutes} min later");
    }
}
