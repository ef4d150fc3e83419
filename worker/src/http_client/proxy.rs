//! The proxies that the environment names, those with a password in their URL as well: they were
//! taken out of the environment, where the HTTP client looks by itself.

use std::sync::OnceLock;

use reqwest::{ClientBuilder, NoProxy, Proxy};

/// Which requests a proxy is for.
type Make = fn(String) -> reqwest::Result<Proxy>;

/// The variables, in the order in which they count, and what they are for.
const VARIABLES: [([&str; 2], Make); 3] = [
    (["https_proxy", "HTTPS_PROXY"], |url| Proxy::https(url)),
    (["http_proxy", "HTTP_PROXY"], |url| Proxy::http(url)),
    (["all_proxy", "ALL_PROXY"], |url| Proxy::all(url)),
];

/// `builder` with the proxies of the environment.
pub(crate) fn from_environment(builder: ClientBuilder) -> ClientBuilder {
    static TAKEN: OnceLock<bool> = OnceLock::new();
    let taken = || {
        let names = VARIABLES.iter().flat_map(|(names, _)| names);
        let mut gone = names.filter(|it| std::env::var_os(it).is_none());
        gone.any(|it| crate::variable(it).is_some())
    };
    if !*TAKEN.get_or_init(taken) {
        // It finds them by itself.
        return builder;
    }
    let given = VARIABLES.iter().filter_map(|(names, make)| {
        let url = names.iter().find_map(|it| crate::variable(it))?.into_string().ok()?;
        // Its message would show the URL.
        make(url).ok().map(|it| it.no_proxy(NoProxy::from_env()))
    });
    given.fold(builder, ClientBuilder::proxy)
}
