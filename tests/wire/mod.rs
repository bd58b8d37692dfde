//! What goes over the wire: the calls of an SDK client, as they leave.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Keeps the bodies as they go out, each with its operation, as far as a header says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<(String, String)>>>);

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "Wire"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = String::from_utf8(context.request().body().bytes().unwrap_or_default().to_vec())?;
        self.0.lock().map_err(|error| error.to_string())?.push((operation, body));
        Ok(())
    }
}

impl Wire {
    /// Every call that has left, in order.
    pub(crate) fn calls(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }
}
