//! The proxies that the environment names, those with a password in their URL as well: they were
//! taken out of the environment, where the HTTP client looks by itself.

use std::sync::OnceLock;

use hyper::http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

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

/// Which requests go through a proxy, by the same rules as the HTTP client's.
pub(crate) struct Proxies {
    matcher: Option<Matcher>,
    /// The proxies themselves.
    pub(crate) hosts: Vec<String>,
}

impl Proxies {
    /// No proxies.
    pub(crate) fn none() -> Self {
        Self { matcher: None, hosts: Vec::new() }
    }

    /// Those that the environment names.
    pub(crate) fn of_environment() -> Self {
        let first = |names: &[&str]| {
            let found = names.iter().find_map(|it| crate::variable(it));
            found.and_then(|it| it.into_string().ok()).unwrap_or_default()
        };
        let [https, http, all] = VARIABLES.map(|(names, _)| first(&names));
        let no = first(&["NO_PROXY", "no_proxy"]);
        let matcher = Matcher::builder().https(https).http(http).all(all).no(no).build();
        // Both spellings: which of them counts is the HTTP client's to say.
        let names = VARIABLES.iter().flat_map(|(names, _)| names);
        let hosts = names.filter_map(|it| host_of(&first(&[it]))).collect();
        Self { matcher: Some(matcher), hosts }
    }

    /// True for a URL that is called through a proxy.
    pub(crate) fn take(&self, url: &Url) -> bool {
        let Some(matcher) = &self.matcher else { return false };
        Uri::try_from(url.as_str()).is_ok_and(|it| matcher.intercept(&it).is_some())
    }
}

/// The host of a proxy's URL, which may lack its scheme.
fn host_of(url: &str) -> Option<String> {
    let proxy = Matcher::builder().all(url).build().intercept(&Uri::from_static("http://host/"))?;
    proxy.uri().host().map(str::to_owned)
}
