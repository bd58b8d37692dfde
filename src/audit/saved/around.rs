//! The doors to what is around groups over saved answers: networks and trails.
//!
//! Must not: judge, or take for empty what was not saved.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::kind::Kind;
use super::ports::{SavedAws, not_saved};
use crate::model::error::CloudError;
use crate::model::network::{Acl, RouteTable, Subnet};
use crate::model::trails::Trail;
use crate::ports::{Surroundings, Trails};

fn saved<T: Clone>(all: Option<&T>, kind: Kind) -> Result<T, CloudError> {
    all.cloned().ok_or_else(|| not_saved(kind, "this was not saved"))
}

#[async_trait]
impl Surroundings for SavedAws {
    async fn subnets(&self) -> Result<BTreeMap<String, Subnet>, CloudError> {
        saved(self.facts.network.subnets.as_ref(), Kind::Subnets)
    }

    async fn route_tables(&self) -> Result<Vec<RouteTable>, CloudError> {
        saved(self.facts.network.tables.as_ref(), Kind::RouteTables)
    }

    async fn gateways(&self) -> Result<BTreeMap<String, Vec<String>>, CloudError> {
        saved(self.facts.network.gateways.as_ref(), Kind::Gateways)
    }

    async fn acls(&self) -> Result<Vec<Acl>, CloudError> {
        saved(self.facts.network.acls.as_ref(), Kind::NetworkAcls)
    }
}

#[async_trait]
impl Trails for SavedAws {
    async fn trails(&self) -> Result<Vec<Trail>, CloudError> {
        if !self.facts.is_whole(Kind::Trails) {
            return Err(not_saved(Kind::Trails, "this was not saved"));
        }
        Ok(self.facts.trails.iter().map(|known| known.trail.clone()).collect())
    }
}
