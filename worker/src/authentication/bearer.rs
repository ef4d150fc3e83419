//! `bearer`: RFC 6750.

use std::sync::Arc;

use windlass_proto::plan::Token;
use windlass_proto::problem::Problem;
use windlass_proto::secret::Secret;
use windlass_proto::value::Value;
use zeroize::Zeroizing;

use super::{Authorization, missing_key};
use crate::attempt::Attempt;

pub(super) fn authorization(token: &str) -> Authorization {
    let parameter = Arc::new(Secret::new(token.trim().to_owned()));
    Authorization::Header { scheme: "Bearer", parameter }
}

impl Attempt<'_> {
    pub(super) fn bearer_token(
        &self,
        token: &Token,
        input: &Value,
    ) -> Result<Zeroizing<String>, Problem> {
        match token {
            Token::Inline(template) => {
                Ok(Zeroizing::new(self.evaluate(template, input)?.to_text()))
            }
            Token::Secret(name) => {
                let secret = self.secret(name)?;
                let text = secret.as_str().or_else(|| secret.get("token").and_then(Value::as_str));
                let text = text.ok_or_else(|| missing_key(name, "bearer", "token"))?;
                Ok(Zeroizing::new(text.to_owned()))
            }
        }
    }
}
