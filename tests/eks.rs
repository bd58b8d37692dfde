//! The EKS adapter against answers as EKS and EC2 write them.
#![expect(clippy::unwrap_used, reason = "helpers make canned answers")]

use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use eks_sg_guard::adapters::eks::Clusters;
use eks_sg_guard::model::error::CloudError;
use eks_sg_guard::model::error::chain;
use eks_sg_guard::model::facts::{Cluster, NodeGroup, NodeGroups};
use eks_sg_guard::model::region::Addresses;
use eks_sg_guard::ports::Eks;
use serde_json::{Value, json};

fn ok(body: &Value) -> HttpResponse {
    answer(200, None, body.to_string())
}

fn not_found(what: &str) -> HttpResponse {
    answer(404, Some("ResourceNotFoundException"), json!({ "message": format!("No {what} found") }).to_string())
}

fn ec2(action: &str, body: &str) -> HttpResponse {
    let xmlns = "http://ec2.amazonaws.com/doc/2016-11-15/";
    answer(200, None, format!(r#"<{action}Response xmlns="{xmlns}"><requestId>r</requestId>{body}</{action}Response>"#))
}

fn answer(status: u16, error: Option<&'static str>, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("x-amzn-requestid", "c1f0");
    if let Some(error) = error {
        response.headers_mut().insert("x-amzn-errortype", error);
    }
    response
}

fn list_clusters(names: Value) -> Rule {
    mock!(aws_sdk_eks::Client::list_clusters)
        .then_http_response(move || ok(&json!({ "clusters": names, "nextToken": null })))
}

fn describe_cluster(name: &'static str, cluster: Value) -> Rule {
    mock!(aws_sdk_eks::Client::describe_cluster)
        .match_requests(move |request| request.name() == Some(name))
        .then_http_response(move || ok(&json!({ "cluster": cluster })))
}

fn list_node_groups(cluster: &'static str, names: Value) -> Rule {
    mock!(aws_sdk_eks::Client::list_nodegroups)
        .match_requests(move |request| request.cluster_name() == Some(cluster))
        .then_http_response(move || ok(&json!({ "nodegroups": names })))
}

fn describe_node_group(name: &'static str, group: Value) -> Rule {
    mock!(aws_sdk_eks::Client::describe_nodegroup)
        .match_requests(move |request| request.cluster_name() == Some("prod") && request.nodegroup_name() == Some(name))
        .then_http_response(move || ok(&json!({ "nodegroup": group })))
}

fn template(groups: &'static str) -> Rule {
    mock!(aws_sdk_ec2::Client::describe_launch_template_versions)
        .match_requests(|request| {
            request.launch_template_id() == Some("lt-1")
                && request.launch_template_name().is_none()
                && request.versions() == ["7"]
        })
        .then_http_response(move || {
            let item = format!(
                "<item><launchTemplateId>lt-1</launchTemplateId><versionNumber>7</versionNumber>\
                 <launchTemplateData>{groups}</launchTemplateData></item>"
            );
            ec2(
                "DescribeLaunchTemplateVersions",
                &format!("<launchTemplateVersionSet>{item}</launchTemplateVersionSet>"),
            )
        })
}

async fn read(eks: &[&Rule], ec2: &[&Rule]) -> Result<Vec<Cluster>, CloudError> {
    let eks = mock_client!(aws_sdk_eks, RuleMode::MatchAny, eks);
    let ec2 = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, ec2);
    let clusters = Clusters::new(eks, ec2);
    let mut found = Vec::new();
    for name in clusters.names().await? {
        if let Some(cluster) = clusters.cluster(&name).await? {
            found.push(Cluster { node_groups: clusters.node_groups(&name, &NodeGroups::All).await?, ..cluster });
        }
    }
    Ok(found)
}

fn prod() -> Value {
    json!({
        "name": "prod",
        "arn": "arn:aws:eks:us-east-1:111122223333:cluster/prod",
        "createdAt": 1_769_904_000.5,
        "identity": { "oidc": { "issuer": "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE" } },
        "roleArn": "arn:aws:iam::111122223333:role/prod",
        "kubernetesNetworkConfig": { "serviceIpv6Cidr": "fd30:1c53:5f8a::/108", "ipFamily": "ipv6" },
        "kubeApiServerConfig": { "serviceNodePortRange": { "minPort": 20000, "maxPort": 22767 } },
        "status": "ACTIVE",
        "resourcesVpcConfig": {
            "subnetIds": ["subnet-1"], "securityGroupIds": ["sg-extra"], "clusterSecurityGroupId": "sg-cluster",
            "vpcId": "vpc-1", "endpointPublicAccess": true, "publicAccessCidrs": ["0.0.0.0/0"]
        },
        "remoteNetworkConfig": {
            "remoteNodeNetworks": [{ "cidrs": ["192.168.0.0/20"] }], "remotePodNetworks": [{ "cidrs": ["192.168.16.0/20"] }]
        }
    })
}

fn nets(texts: &[&str]) -> Addresses {
    texts.iter().map(|text| text.parse::<ipnet::IpNet>().unwrap()).collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn a_cluster_is_read_with_its_node_groups_and_templates() {
    let node_group = json!({
        "nodegroupName": "blue", "clusterName": "prod", "status": "ACTIVE",
        "launchTemplate": { "name": "blue", "version": "7", "id": "lt-1" },
        "resources": { "autoScalingGroups": [{ "name": "eks-blue-1" }], "remoteAccessSecurityGroup": "sg-ssh" }
    });
    let groups = "<securityGroupIdSet><item>sg-a</item></securityGroupIdSet><networkInterfaceSet><item>\
        <deviceIndex>0</deviceIndex><groupSet><groupId>sg-b</groupId><groupId>sg-a</groupId></groupSet></item>\
        </networkInterfaceSet>";
    let eks = [
        list_clusters(json!(["prod"])),
        describe_cluster("prod", prod()),
        list_node_groups("prod", json!(["blue"])),
        describe_node_group("blue", node_group),
    ];
    let ec2 = [template(groups)];
    let found = read(&eks.each_ref(), &ec2.each_ref()).await.unwrap();
    let expected = Cluster {
        name: "prod".to_owned(),
        vpc: "vpc-1".to_owned(),
        vpc_ranges: Addresses::default(),
        cluster_group: Some("sg-cluster".to_owned()),
        control_plane_groups: strings(&["sg-extra"]),
        remote_networks: nets(&["192.168.0.0/19"]),
        role_arn: Some("arn:aws:iam::111122223333:role/prod".to_owned()),
        created_at: Some("2026-02-01T00:00:00Z".parse().unwrap()),
        arn: Some("arn:aws:eks:us-east-1:111122223333:cluster/prod".to_owned()),
        issuer: Some("https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE".to_owned()),
        node_groups: vec![NodeGroup {
            name: "blue".to_owned(),
            remote_access_group: Some("sg-ssh".to_owned()),
            auto_scaling_groups: strings(&["eks-blue-1"]),
            template_groups: strings(&["sg-a", "sg-b"]),
        }],
        public_endpoint: nets(&["0.0.0.0/0"]),
        is_ipv6: true,
        is_local: false,
        node_ports: Some((20000, 22767)),
    };
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn a_cluster_that_is_being_created_has_no_cluster_group_yet() {
    let cluster = json!({
        "name": "prod", "status": "CREATING", "resourcesVpcConfig": { "securityGroupIds": [], "vpcId": "vpc-1" }
    });
    let eks = [list_clusters(json!(["prod"])), describe_cluster("prod", cluster), list_node_groups("prod", json!([]))];
    let found = read(&eks.each_ref(), &[]).await.unwrap();
    assert_eq!((found[0].cluster_group.as_deref(), found[0].vpc.as_str()), (None, "vpc-1"));
    assert_eq!((&found[0].arn, &found[0].issuer), (&None, &None));
    assert!(!found[0].is_ipv6, "EKS does not say, so it is the usual one");
}

#[tokio::test]
async fn a_cluster_that_is_being_deleted_still_counts() {
    let mut cluster = prod();
    cluster["status"] = json!("DELETING");
    let eks = [list_clusters(json!(["prod"])), describe_cluster("prod", cluster), list_node_groups("prod", json!([]))];
    assert_eq!(read(&eks.each_ref(), &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_page_of_clusters_and_node_groups_is_read() {
    let pages = [(None, json!("b"), "one"), (Some("b"), Value::Null, "two")];
    let clusters = pages.map(|(token, next, name)| {
        mock!(aws_sdk_eks::Client::list_clusters)
            .match_requests(move |request| request.next_token() == token)
            .then_http_response(move || ok(&json!({ "clusters": [name], "nextToken": next })))
    });
    let pages = [(None, json!("n"), "blue"), (Some("n"), Value::Null, "green")];
    let node_groups = pages.map(|(token, next, name)| {
        mock!(aws_sdk_eks::Client::list_nodegroups)
            .match_requests(move |request| request.cluster_name() == Some("one") && request.next_token() == token)
            .then_http_response(move || ok(&json!({ "nodegroups": [name], "nextToken": next })))
    });
    let node_group = mock!(aws_sdk_eks::Client::describe_nodegroup)
        .match_requests(|request| request.cluster_name() == Some("one"))
        .then_http_response(|| ok(&json!({ "nodegroup": { "status": "ACTIVE" } })));
    let one = describe_cluster("one", json!({ "name": "one", "resourcesVpcConfig": { "vpcId": "vpc-1" } }));
    let two = describe_cluster("two", json!({ "name": "two", "resourcesVpcConfig": { "vpcId": "vpc-2" } }));
    let none = list_node_groups("two", json!([]));
    let eks = [&clusters[0], &clusters[1], &node_groups[0], &node_groups[1], &node_group, &one, &two, &none];
    let found = read(&eks, &[]).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|cluster| {
            let node_groups: Vec<_> = cluster.node_groups.iter().map(|group| group.name.as_str()).collect();
            (cluster.name.as_str(), node_groups)
        })
        .collect();
    assert_eq!(found, [("one", vec!["blue", "green"]), ("two", vec![])]);
    assert_eq!(node_group.num_calls(), 2);
}

#[tokio::test]
async fn a_node_group_that_goes_away_while_we_read_is_left_out() {
    let gone = mock!(aws_sdk_eks::Client::describe_nodegroup)
        .match_requests(|request| request.nodegroup_name() == Some("gone"))
        .then_http_response(|| not_found("node group"));
    let blue = describe_node_group("blue", json!({ "nodegroupName": "blue" }));
    let list = list_clusters(json!(["prod"]));
    let cluster = describe_cluster("prod", prod());
    let names = list_node_groups("prod", json!(["gone", "blue"]));
    let found = read(&[&list, &cluster, &names, &gone, &blue], &[]).await.unwrap();
    let names: Vec<_> = found[0].node_groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["blue"]);
}

#[tokio::test]
async fn a_cluster_that_goes_away_while_we_read_is_left_out() {
    let described = mock!(aws_sdk_eks::Client::describe_cluster)
        .match_requests(|request| request.name() == Some("gone"))
        .then_http_response(|| not_found("cluster"));
    let listed = mock!(aws_sdk_eks::Client::list_nodegroups)
        .match_requests(|request| request.cluster_name() == Some("gone"))
        .then_http_response(|| not_found("cluster"));
    let list = list_clusters(json!(["gone", "prod"]));
    let cluster = describe_cluster("prod", prod());
    let names = list_node_groups("prod", json!([]));
    let found = read(&[&list, &described, &listed, &cluster, &names], &[]).await.unwrap();
    assert_eq!(found.iter().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>(), ["prod"]);
}

#[tokio::test]
async fn a_launch_template_that_is_gone_names_no_groups() {
    for code in ["InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound"] {
        let gone = mock!(aws_sdk_ec2::Client::describe_launch_template_versions).then_http_response(move || {
            let error = format!("<Error><Code>{code}</Code><Message>It does not exist.</Message></Error>");
            answer(400, None, format!("<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>"))
        });
        let blue = json!({ "nodegroupName": "blue", "launchTemplate": { "id": "lt-1", "version": "7" } });
        let eks = [
            list_clusters(json!(["prod"])),
            describe_cluster("prod", prod()),
            list_node_groups("prod", json!(["blue"])),
            describe_node_group("blue", blue),
        ];
        let found = read(&eks.each_ref(), &[&gone]).await.unwrap();
        assert_eq!(found[0].node_groups[0].template_groups, strings(&[]));
    }
}

#[tokio::test]
async fn a_missing_right_names_the_action_to_grant() {
    let list = mock!(aws_sdk_eks::Client::list_clusters).then_http_response(|| {
        let message =
            "User: arn:aws:sts::111122223333:assumed-role/guard/guard is not authorized to perform: eks:ListClusters";
        answer(403, Some("AccessDeniedException"), json!({ "message": message }).to_string())
    });
    let error = read(&[&list], &[]).await.unwrap_err();
    let CloudError::Denied { action, .. } = &error else { panic!("{error:?}") };
    assert_eq!(action, "eks:ListClusters");
    let text = chain(&error);
    assert!(text.contains("AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/guard/guard"), "{text}");
    assert!(text.ends_with("(HTTP 403, request id c1f0)"), "{text}");
}

#[tokio::test]
async fn one_node_group_is_asked_for_by_its_name_and_the_others_are_not_listed() {
    let blue = describe_node_group("blue", json!({ "nodegroupName": "blue" }));
    let eks = mock_client!(aws_sdk_eks, RuleMode::MatchAny, &[&blue]);
    let ec2 = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, [&template("")]);
    let which = NodeGroups::Named(["blue".to_owned()].into());
    let found = Clusters::new(eks, ec2).node_groups("prod", &which).await.unwrap();
    assert_eq!(found.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["blue"]);
}
