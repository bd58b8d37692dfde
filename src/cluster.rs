//! What a group is to a cluster, and what is attached to which groups there: facts in, roles and topology out. Pure.

pub mod membership;
pub mod topology;
