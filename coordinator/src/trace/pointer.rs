//! The pointer of a task that is visited, with the call sites of functions before it.

use std::sync::Arc;

use windlass_proto::plan::{FunctionTarget, Kind, Task};

/// Begins the pointers of tasks in extensions, which stand apart from what they extend.
const EXTENSIONS: &str = "/use/extensions/";

/// Where a visit is.
#[derive(Clone, Debug)]
pub(crate) struct Pointer {
    /// The task's pointer.
    pub(crate) reference: Arc<str>,
    /// Comes before the pointers of the tasks inside: the call sites of functions.
    pub(crate) prefix: Arc<str>,
    /// True for the body of a function: it has the pointer of its call, which is told of.
    pub(crate) silent: bool,
}

impl Pointer {
    /// The pointer of a task in what `above` is visited.
    pub(crate) fn of(above: Option<&Self>, task: &Task) -> Self {
        let reference = Self::reference(above, task);
        let is_call = matches!(&task.kind, Kind::Function(call)
            if matches!(call.target, FunctionTarget::Defined(_)));
        let prefix = match above {
            _ if is_call => reference.clone(),
            Some(above) => above.prefix.clone(),
            None => Arc::default(),
        };
        Self { reference, prefix, silent: task.reference.is_empty() }
    }

    /// The same, of a task that is not visited itself.
    pub(crate) fn reference(above: Option<&Self>, task: &Task) -> Arc<str> {
        match above {
            Some(above) if !above.prefix.is_empty() && !task.reference.starts_with(EXTENSIONS) => {
                format!("{}{}", above.prefix, task.reference).into()
            }
            _ => task.reference.clone(),
        }
    }
}
