//! `call: openapi`

use windlass_proto::plan::OpenApiCall;
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use super::{Attempt, not_supported};

impl Attempt<'_> {
    pub(super) async fn call_openapi(
        &mut self,
        _call: &OpenApiCall,
        _input: &Value,
    ) -> Result<Value, Problem> {
        Err(not_supported("call: openapi"))
    }
}
