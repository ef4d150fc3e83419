//! `call` of a function by name.

use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::plan::{FunctionCall, FunctionTarget};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use crate::attempt::Attempt;
use crate::function::{BY_DATA, Call, Offer, into_problem};

impl Attempt<'_> {
    pub(super) async fn call_function(
        &self,
        call: &FunctionCall,
        input: Value,
    ) -> Result<Value, Problem> {
        let name = match &call.target {
            FunctionTarget::Registered(name) => name,
            FunctionTarget::Cataloged(name) => {
                let detail =
                    format!("the function {name} of a catalog is not supported by this worker");
                return Err(Problem::new(Standard::Configuration, detail));
            }
            FunctionTarget::Defined(_) => {
                let detail = "functions of `use.functions` are run by the coordinator";
                return Err(Problem::new(Standard::Runtime, detail));
            }
        };
        let arguments = self.arguments(call, input)?;
        if let Some(function) = self.worker.functions.get(name) {
            return self.invoke(function, arguments).await;
        }
        // `call: function` with the name and the arguments as data, as some definitions write it.
        let named = arguments.get("function").and_then(Value::as_str);
        if let (true, Some(named)) = (&**name == BY_DATA, named) {
            let function = self.worker.functions.get(named).ok_or_else(|| self.unknown(named))?;
            let inner = arguments.get("arguments").cloned();
            return self.invoke(function, inner.unwrap_or_else(Value::empty_object)).await;
        }
        Err(self.unknown(name))
    }

    async fn invoke(&self, offer: &Offer, arguments: Value) -> Result<Value, Problem> {
        match offer {
            Offer::Echo => Ok(arguments),
            Offer::Log(level) => {
                self.log(*level, &arguments);
                Ok(arguments)
            }
            Offer::User(function) => {
                let call = Call::new(self.assignment, self.cancelled);
                function.invoke(arguments, call).await.map_err(into_problem)
            }
        }
    }

    /// Writes one event to the worker's log: the text of `message`, or all arguments.
    fn log(&self, level: tracing::Level, arguments: &Value) {
        let shown = self.seal.shown(arguments.clone());
        let message = shown.get("message").unwrap_or(&shown).to_text();
        let workflow = &self.assignment.workflow;
        let instance = &self.assignment.key.instance;
        let task = &*self.assignment.reference;
        match level {
            tracing::Level::ERROR => tracing::error!(%workflow, %instance, task, "{message}"),
            tracing::Level::WARN => tracing::warn!(%workflow, %instance, task, "{message}"),
            _ => tracing::info!(%workflow, %instance, task, "{message}"),
        }
    }

    fn unknown(&self, name: &str) -> Problem {
        let known = self.worker.functions.names().join(", ");
        let detail = format!("this worker has no function {name}; it has: {known}");
        Problem::new(Standard::Configuration, detail)
    }
}

#[cfg(test)]
mod tests;
