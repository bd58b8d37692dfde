//! Each thing that may stand in the way, alone; and what was not read.

use super::*;
use crate::model::network::Route;

fn nets(texts: &[&str]) -> Addresses {
    texts.iter().map(|text| text.parse::<ipnet::IpNet>().unwrap()).collect()
}

fn world() -> Addresses {
    nets(&["0.0.0.0/0"])
}

fn route(to: &str, through: &str) -> Route {
    let net: ipnet::IpNet = to.parse().unwrap();
    Route { to: Some(nets(&[to])), prefix_len: net.prefix_len(), through: through.to_owned() }
}

fn to_list(through: &str) -> Route {
    Route { to: None, prefix_len: 0, through: through.to_owned() }
}

fn entry(number: i64, is_egress: bool, is_allowed: bool, from: &str, traffic: Traffic) -> AclEntry {
    AclEntry { number, is_egress, is_allowed, peers: nets(&[from]), traffic }
}

/// Everything open: one interface with a public address.
fn network() -> Network {
    let interface = Interface {
        id: "eni-1".to_owned(),
        vpc: "vpc-1".to_owned(),
        subnet: "subnet-1".to_owned(),
        kind: "interface".to_owned(),
        public_v4: Some("203.0.113.7".to_owned()),
        ..Interface::default()
    };
    let table = RouteTable {
        id: "rtb-1".to_owned(),
        vpc: "vpc-1".to_owned(),
        is_main: true,
        routes: vec![route("10.0.0.0/16", "local"), route("0.0.0.0/0", "igw-1"), route("::/0", "igw-1")],
        ..RouteTable::default()
    };
    let all = |is_egress, from| entry(100, is_egress, true, from, Traffic::all());
    let acl = Acl {
        id: "acl-1".to_owned(),
        vpc: "vpc-1".to_owned(),
        is_default: true,
        entries: vec![all(false, "0.0.0.0/0"), all(true, "0.0.0.0/0"), all(false, "::/0"), all(true, "::/0")],
        ..Acl::default()
    };
    Network {
        interfaces: vec![interface],
        interfaces_of: [("sg-1".to_owned(), vec![0])].into(),
        subnets: Some([("subnet-1".to_owned(), Subnet::default())].into()),
        tables: Some(vec![table]),
        gateways: Some([("igw-1".to_owned(), vec!["vpc-1".to_owned()])].into()),
        acls: Some(vec![acl]),
        is_whole: true,
    }
}

fn ssh() -> Traffic {
    Traffic::ports(6, 22, 22)
}

fn reach(network: &Network, group: &str, clients: &Addresses, traffic: &Traffic) -> Reachable {
    let paths = Paths::of(network);
    of(&paths, &paths.interfaces(group), clients, traffic)
}

fn asked(change: impl Fn(&mut Network)) -> Reachable {
    let mut network = network();
    change(&mut network);
    reach(&network, "sg-1", &world(), &ssh())
}

#[test]
fn with_everything_open_it_is_reachable_and_the_path_names_the_interface_and_the_address() {
    assert_eq!(asked(|_| ()), said(Now::Yes, "reachable now through eni-1, 203.0.113.7".to_owned()));
}

type Change = fn(&mut Network);

fn acl_of(network: &mut Network) -> &mut Vec<AclEntry> {
    &mut network.acls.as_mut().unwrap()[0].entries
}

fn table_of(network: &mut Network) -> &mut RouteTable {
    &mut network.tables.as_mut().unwrap()[0]
}

#[test]
fn each_thing_that_stands_in_the_way_is_named() {
    let cases: [(Change, Now, &str); 21] = [
        (
            |all| all.interfaces[0].public_v4 = None,
            Now::No,
            "no public IPv4 address: an Elastic IP would be one (eni-1), one change",
        ),
        (|all| all.interfaces_of.clear(), Now::No, "attached to nothing, one attachment away"),
        (
            |all| table_of(all).routes.retain(|route| route.through == "local"),
            Now::No,
            "route table rtb-1 has no route",
        ),
        (|all| table_of(all).routes[1].through = "nat-1".to_owned(), Now::No, "route table rtb-1 has no route"),
        (|all| table_of(all).routes[1].through = "eigw-1".to_owned(), Now::No, "route table rtb-1 has no route"),
        (|all| all.gateways = Some(BTreeMap::new()), Now::No, "route table rtb-1 has no route"),
        (|all| table_of(all).routes.push(route("0.0.0.0/1", "nat-1")), Now::Yes, "eni-1"),
        (
            |all| table_of(all).routes = vec![to_list("igw-1")],
            Now::Unknown,
            "a route of its subnet goes to a prefix list",
        ),
        (|all| table_of(all).routes = vec![to_list("nat-1")], Now::No, "route table rtb-1 has no route"),
        (|all| table_of(all).is_of_gateway = true, Now::Unknown, "such as a firewall"),
        (
            |all| all.subnets.as_mut().unwrap().get_mut("subnet-1").unwrap().is_blocked = true,
            Now::No,
            "Block Public Access",
        ),
        (
            |all| acl_of(all).insert(0, entry(50, false, false, "0.0.0.0/0", Traffic::all())),
            Now::No,
            "network ACL acl-1 denies",
        ),
        (
            |all| acl_of(all).insert(0, entry(50, true, false, "0.0.0.0/0", Traffic::all())),
            Now::No,
            "network ACL acl-1 denies",
        ),
        (|all| acl_of(all).insert(0, entry(50, false, false, "0.0.0.0/0", ssh())), Now::No, "network ACL acl-1 denies"),
        (|all| acl_of(all).insert(0, entry(50, false, false, "128.0.0.0/1", Traffic::all())), Now::Yes, "eni-1"),
        (
            |all| acl_of(all).insert(0, entry(50, false, false, "0.0.0.0/0", Traffic::ports(17, 22, 22))),
            Now::Yes,
            "eni-1",
        ),
        (|all| acl_of(all).retain(|entry| !entry.is_egress), Now::No, "network ACL acl-1 denies"),
        (
            |all| {
                all.interfaces[0].public_v4 = None;
                all.subnets.as_mut().unwrap().get_mut("subnet-1").unwrap().is_blocked = true;
            },
            Now::No,
            "2 changes away",
        ),
        (
            |all| {
                all.interfaces[0].public_v4 = None;
                let kind = "network_load_balancer".to_owned();
                let public_v4 = Some("198.51.100.1".to_owned());
                all.interfaces.push(Interface { vpc: "vpc-1".to_owned(), kind, public_v4, ..Interface::default() });
            },
            Now::Unknown,
            "network load balancer",
        ),
        (
            |all| {
                all.interfaces[0].public_v4 = None;
                let kind = "network_load_balancer".to_owned();
                all.interfaces.push(Interface { vpc: "vpc-1".to_owned(), kind, ..Interface::default() });
            },
            Now::No,
            "no public IPv4 address",
        ),
        (
            |all| {
                let interface = Interface { id: "eni-2".to_owned(), public_v4: None, ..all.interfaces[0].clone() };
                all.interfaces.insert(0, interface);
                all.interfaces_of.insert("sg-1".to_owned(), vec![0, 1]);
            },
            Now::Yes,
            "through eni-1, 203.0.113.7",
        ),
    ];
    for (at, (change, now, path)) in cases.into_iter().enumerate() {
        let found = asked(change);
        assert!(found.now == now && found.path.contains(path), "{at}: {found:?}");
    }
}

#[test]
fn what_was_not_read_is_never_a_no() {
    let cases: [(Change, &str); 6] = [
        (|all| all.tables = None, "route tables not given"),
        (|all| all.acls = None, "network ACLs not given"),
        (|all| all.subnets = None, "subnets not given"),
        (|all| all.tables = Some(vec![]), "the route table of its subnet is not given"),
        (|all| all.acls = Some(vec![]), "network ACLs not given"),
        (
            |all| {
                all.interfaces_of.clear();
                all.is_whole = false;
            },
            "not all network interfaces are given",
        ),
    ];
    for (change, path) in cases {
        let found = asked(change);
        assert!(found.now == Now::Unknown && found.path.contains(path), "{found:?}");
    }
    // What is known to stand in the way does so whatever else was not read.
    let found = asked(|all| {
        all.interfaces[0].public_v4 = None;
        all.tables = None;
    });
    assert_eq!(found.now, Now::No, "{found:?}");
}

#[test]
fn families_are_asked_apart() {
    let ask = |clients: &[&str], change: Change| {
        let mut network = network();
        change(&mut network);
        reach(&network, "sg-1", &nets(clients), &ssh())
    };
    let with_v6: Change = |all| all.interfaces[0].v6 = Some("2001:db8::1".to_owned());
    assert_eq!(ask(&["::/0"], |_| ()).now, Now::No);
    assert_eq!(ask(&["::/0"], with_v6).path, "reachable now through eni-1, 2001:db8::1");
    let denied: Change =
        |all| (all.interfaces[0].v6, all.interfaces[0].denies_gateways) = (Some("2001:db8::1".to_owned()), true);
    assert!(ask(&["::/0"], denied).path.contains("denies the traffic of internet gateways"));
    let private: Change = |all| {
        all.interfaces[0].v6 = Some("2001:db8::1".to_owned());
        all.subnets.as_mut().unwrap().get_mut("subnet-1").unwrap().has_private_v6 = true;
    };
    assert!(ask(&["::/0"], private).path.contains("its IPv6 addresses are private"));
}
