//! The limit of open files: what the system grants is used.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, as far as the system allows. Soft limits
/// are low for the sake of old programs; every connection, file and process takes one.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        // It works with what there is: the API counts its connections by that.
        tracing::warn!(%error, "raising the limit of open files failed");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let low = Rlimit { current: Some(256), maximum: hard };
        assert_eq!(setrlimit(Resource::Nofile, low), Ok(()));
        super::raise();
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }
}
