//! What a group is to a cluster, where to ask for it, and what is attached to which groups there: facts in, roles and
//! topology out. Pure.

mod attached;
pub mod marks;
pub mod membership;
pub mod names;
pub mod register;
pub mod topology;
