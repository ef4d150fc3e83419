//! What people write to say what is logged: `warn,windlass_worker=debug`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use windlass_coordinator::log::BadDirectives;
use windlass_proto::limits;

/// Reads directives. Stricter than the library, which takes a misspelt level for the name of a
/// module and then logs nothing of all others.
///
/// # Errors
/// When they are too long, or one of them cannot be read.
pub(super) fn read(directives: &str) -> Result<EnvFilter, BadDirectives> {
    if directives.len() > limits::LOG_DIRECTIVES_BYTES {
        return Err(BadDirectives::TooLong(directives.len()));
    }
    let each: Vec<_> = directives.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    for directive in &each {
        check(directive).map_err(|reason| unreadable(directive, reason))?;
    }
    if each.is_empty() {
        return Err(unreadable(directives, "name a level, such as `info`, or `off`"));
    }
    // The library takes no spaces.
    let directives = each.join(",");
    // Patterns of values would be run on everything that is said.
    let builder = EnvFilter::builder().with_regex(false);
    builder.parse(&directives).map_err(|error| unreadable(&directives, &error.to_string()))
}

fn unreadable(directive: &str, reason: &str) -> BadDirectives {
    BadDirectives::Unreadable { directive: directive.to_owned(), reason: reason.to_owned() }
}

fn check(directive: &str) -> Result<(), &'static str> {
    const LEVELS: &str = "it is not a level: off, error, warn, info, debug or trace";
    const FORM: &str = "write LEVEL or MODULE=LEVEL, such as `windlass_coordinator::fleet=debug`";
    let is_level = |text: &str| text.parse::<LevelFilter>().is_ok() && !text.is_empty();
    match directive.split_once('=') {
        None if is_level(directive) => Ok(()),
        None if is_module(directive) && directive.contains("::") => Err(FORM),
        None => Err(LEVELS),
        Some((module, _)) if !is_module(module) => Err(FORM),
        Some((_, level)) if is_level(level) => Ok(()),
        Some(_) => Err(LEVELS),
    }
}

/// True for what can be the path of a module.
fn is_module(text: &str) -> bool {
    let is_name = |it: &str| {
        !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-')
    };
    text.split("::").all(is_name)
}

#[cfg(test)]
mod tests {
    use windlass_proto::limits;

    use super::{BadDirectives, read};

    #[test]
    fn levels_and_modules_with_levels_are_read() {
        for text in [
            "info",
            "OFF",
            "warn,windlass_coordinator::fleet=debug",
            " warn , async_nats=info,",
            "windlass_worker=trace,error",
            super::super::USUAL,
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_would_silence_everything_by_mistake_is_refused() {
        for text in [
            "",
            " , ",
            "debgu",
            "windlass_worker",
            "windlass_worker::perform",
            "windlass_worker=debgu",
            "windlass_worker=",
            "=info",
            "a b=info",
            "windlass_worker[span{it=\"x\"}]=info",
            "[{it}]=trace",
            "warn,x=\u{1b}[2J",
        ] {
            let refused = read(text).err();
            assert!(matches!(refused, Some(BadDirectives::Unreadable { .. })), "{text}");
        }
        let long = "windlass=info,".repeat(limits::LOG_DIRECTIVES_BYTES / 14 + 1);
        assert_eq!(read(&long).err(), Some(BadDirectives::TooLong(long.len())));
    }
}
