//! What a policy means, to compare it with another.

use eks_sg_guard::policy::model::{Origin, Policy};

/// What has to be equal of two policies, in words: all but the name, the hash, what its
/// networks are called and which policy a clause was inherited from.
pub(crate) fn meaning(policy: &Policy) -> String {
    let mut policy = policy.clone();
    (policy.name, policy.hash, policy.networks) = Default::default();
    for clause in policy.clauses.iter_mut().filter(|clause| clause.origin != Origin::Exception) {
        clause.origin = Origin::BuiltIn;
    }
    format!("{policy:#?}")
}
