//! What to paste into a shell to save what an audit reads, and the rights that it takes.
//!
//! Must not: know files. That each kind of answer is among the commands is held by a test.

use serde_json::{Value, json};

/// One paste for one account and region. It saves into the folder it is run in.
pub const COMMANDS: &str = "\
# Saves what `eks-sg-guard audit` reads of one account and region. It only reads. Run it in an empty folder:
#   mkdir saved && cd saved && AWS_REGION=us-east-1 sh ../save.sh && eks-sg-guard audit --from .
# Then the folder has everything; nothing in it is secret, and names, tags and addresses are yours.
export AWS_PAGER= AWS_DEFAULT_OUTPUT=json
# Version 1 of the AWS CLI reads no other name for it.
[ -z \"$AWS_REGION\" ] || export AWS_DEFAULT_REGION=\"$AWS_REGION\"
aws sts get-caller-identity >caller-identity.json
for c in security-groups security-group-rules vpcs managed-prefix-lists security-group-vpc-associations; do
  aws ec2 describe-$c >$c.json
done
for c in subnets route-tables internet-gateways network-acls; do
  aws ec2 describe-$c >$c.json
done
for v in $(aws ec2 describe-vpcs --query 'Vpcs[].VpcId' --output text); do
  aws ec2 describe-stale-security-groups --vpc-id $v >stale.$v.json
done
aws elbv2 describe-load-balancers >load-balancers.json
for c in network-interfaces instances; do
  aws ec2 describe-$c --include-managed-resources >$c.json || aws ec2 describe-$c >$c.json
done
for p in $(aws ec2 describe-managed-prefix-lists --query 'PrefixLists[].PrefixListId' --output text); do
  aws ec2 get-managed-prefix-list-entries --prefix-list-id $p >entries.$p.json
done
aws cloudtrail describe-trails >trails.json
for t in $(aws cloudtrail describe-trails --query 'trailList[].TrailARN' --output text); do
  n=$(echo \"$t\" | tr :/ __)
  r=$(echo \"$t\" | cut -d: -f4)
  aws cloudtrail get-trail-status --name \"$t\" >\"trail-status.$n.json\"
  aws cloudtrail get-event-selectors --trail-name \"$t\" --region \"$r\" >\"event-selectors.$n.json\"
done
aws eks list-clusters >list-clusters.json
for k in $(aws eks list-clusters --query 'clusters[]' --output text); do
  aws eks describe-cluster --name $k >cluster.$k.json
  aws eks list-nodegroups --cluster-name $k >list-nodegroups.$k.json
  for n in $(aws eks list-nodegroups --cluster-name $k --query 'nodegroups[]' --output text); do
    aws eks describe-nodegroup --cluster-name $k --nodegroup-name $n >nodegroup.$k.$n.json
    d=\"describe-nodegroup --cluster-name $k --nodegroup-name $n\"
    t=$(aws eks $d --query nodegroup.launchTemplate.id --output text)
    v=$(aws eks $d --query nodegroup.launchTemplate.version --output text)
    [ \"$t\" = None ] || aws ec2 describe-launch-template-versions --launch-template-id $t --versions \"$v\" \\
      >launch-template.$k.$n.json
  done
done
";

/// What an audit asks AWS itself.
const ACTIONS: [&str; 22] = [
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetTrailStatus",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeManagedPrefixLists",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRegions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroupVpcAssociations",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:GetManagedPrefixListEntries",
    "eks:DescribeCluster",
    "eks:DescribeNodegroup",
    "eks:ListClusters",
    "eks:ListNodegroups",
    "sts:GetCallerIdentity",
];

/// What the calls above read besides: whom else load balancers and rules over a peering name.
const OF_COMMANDS: [&str; 2] = ["ec2:DescribeStaleSecurityGroups", "elasticloadbalancing:DescribeLoadBalancers"];

/// What closing takes besides.
const CLOSING: [&str; 2] = ["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"];

/// What importing takes besides.
const IMPORTING: [&str; 1] = ["securityhub:BatchImportFindings"];

/// The IAM policy of who audits an account, of who saves what the calls above print, of who closes what was found, and of
/// who hands it to Security Hub.
pub fn permissions(closes: bool, imports: bool) -> Value {
    let allow =
        |sid: &str, actions: &[&str]| json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*"});
    let mut statements = vec![allow("EksSgGuardAudit", &ACTIONS), allow("EksSgGuardCommands", &OF_COMMANDS)];
    statements.extend(closes.then(|| allow("EksSgGuardFix", &CLOSING)));
    statements.extend(imports.then(|| allow("EksSgGuardImport", &IMPORTING)));
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::saved::Kind;

    /// `describe-security-groups` -> `DescribeSecurityGroups`
    fn operation(command: &str) -> String {
        let words = command.split('-').map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
        });
        words.collect()
    }

    #[test]
    fn each_kind_is_saved_and_allowed_and_nothing_else_is() {
        let mut needed: Vec<String> = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|kind| kind.command().starts_with("aws ")) {
            let mut words = kind.command().split(' ').skip(1);
            let (service, command) = (words.next().unwrap(), words.next().unwrap());
            let looped = command.strip_prefix("describe-").is_some_and(|rest| {
                COMMANDS.lines().any(|line| line.starts_with("for c in ") && line.split([' ', ';']).any(|c| c == rest))
            });
            assert!(looped || COMMANDS.contains(&format!("aws {service} {command}")), "{kind:?}");
            // IAM calls it otherwise than the command line.
            let service = if service == "elbv2" { "elasticloadbalancing" } else { service };
            needed.push(format!("{service}:{}", operation(command)));
        }
        // For `--region all` alone.
        needed.push("ec2:DescribeRegions".to_owned());
        needed.sort();
        let mut allowed = [&ACTIONS[..], &OF_COMMANDS].concat();
        allowed.sort_unstable();
        assert_eq!(needed, allowed);
    }

    #[test]
    fn nothing_is_allowed_that_changes_anything() {
        for action in ACTIONS.into_iter().chain(OF_COMMANDS) {
            let call = action.split_once(':').unwrap().1;
            assert!(["Describe", "Get", "List"].iter().any(|read| call.starts_with(read)), "{action}");
        }
    }
}
