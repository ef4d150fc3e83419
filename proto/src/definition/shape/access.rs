//! Shapes of endpoints and of what shows them who asks.

use super::{Object, Property, Shape, object, of, words};
use crate::definition::authentication::{CLIENT_AUTHENTICATIONS, ENCODINGS, GRANTS};

/// A URI, or one with authentication.
pub(super) const ENDPOINT: Shape = Shape::Either(&[Shape::Uri, Shape::Of(&ENDPOINT_OBJECT)]);

/// A policy in place, or the name of one.
pub(super) const AUTHENTICATION: Shape =
    Shape::Either(&[Shape::Of(&POLICY), Shape::Of(&REFERENCE)]);

static ENDPOINT_OBJECT: Object = object(
    ("endpoint", "`endpoint`"),
    "An address, and who asks there",
    &["uri"],
    &[&[
        of("uri", Shape::Uri, "Its address; `{name}` and `${ … }` are filled in"),
        of("authentication", AUTHENTICATION, "How it is shown who asks"),
    ]],
);

/// Something that is elsewhere.
pub(super) static RESOURCE: Object = object(
    ("resource", "an external resource"),
    "Something that is fetched when it is needed",
    &["endpoint"],
    &[&[of("name", Shape::Text, "What people call it"), of("endpoint", ENDPOINT, "Where it is")]],
);

static REFERENCE: Object = object(
    ("authenticationReference", "a reference to an authentication"),
    "One of `use.authentications`",
    &["use"],
    &[&[of("use", Shape::Text, "Its name there")]],
);

/// A policy.
pub(super) static POLICY: Object = object(
    ("authentication", "an authentication"),
    "How a request shows who asks: one scheme",
    &[],
    &[&[
        of("basic", CREDENTIALS, "Name and password, in each request"),
        of("bearer", TOKEN, "A token"),
        of("digest", CREDENTIALS, "Name and password, never sent themselves"),
        of("oauth2", OAUTH2, "A token of an OAuth 2.0 server"),
        of("oidc", OIDC, "A token of an OpenID Connect provider, which tells its endpoints"),
        of("certificate", Shape::Of(&SECRET), "A client certificate in TLS, from a secret"),
    ]],
);

/// One of these, which has further properties with a warning.
pub(super) static DEFINED_POLICY: Object = Object {
    name: "definedAuthentication",
    open: true,
    what: POLICY.what,
    about: POLICY.about,
    required: &[],
    properties: POLICY.properties,
    by_word: None,
};

static SECRET: Object = object(
    ("ofSecret", ""),
    "All of it is in a secret",
    &["use"],
    &[&[of("use", Shape::Text, "The secret's name in `use.secrets`")]],
);

const CREDENTIALS: Shape = Shape::Either(&[Shape::Of(&IN_PLACE), Shape::Of(&SECRET)]);

static IN_PLACE: Object = object(
    ("credentials", ""),
    "Name and password",
    &["username", "password"],
    &[&[
        of("username", Shape::Text, "The name"),
        of("password", Shape::Text, "The password, such as `${ $secrets.password }`"),
    ]],
);

const TOKEN: Shape = Shape::Either(&[Shape::Of(&TOKEN_IN_PLACE), Shape::Of(&SECRET)]);

static TOKEN_IN_PLACE: Object = object(
    ("bearer", ""),
    "A token",
    &["token"],
    &[&[of("token", Shape::Text, "The token, such as `${ $secrets.token }`")]],
);

const OAUTH2: Shape = Shape::Either(&[Shape::Of(&OAUTH2_IN_PLACE), Shape::Of(&SECRET)]);
const OIDC: Shape = Shape::Either(&[Shape::Of(&OIDC_IN_PLACE), Shape::Of(&SECRET)]);

static OAUTH2_IN_PLACE: Object = object(
    ("oauth2", "`oauth2`"),
    "How a token is got",
    &["authority", "grant"],
    &[PROPERTIES, &[of("endpoints", Shape::Of(&ENDPOINTS), "Paths of the server")]],
);

static OIDC_IN_PLACE: Object =
    object(("oidc", "`oidc`"), "How a token is got", &["authority", "grant"], &[PROPERTIES]);

const PROPERTIES: &[Property] = &[
    of("authority", Shape::Uri, "The server that gives tokens"),
    of("grant", Shape::Words(|| words(GRANTS)), "What a token is given for"),
    of("client", Shape::Of(&CLIENT), "Who asks for one"),
    of("request", Shape::Of(&REQUEST), "How it is asked for"),
    of("issuers", TEXTS, "Those whose tokens are taken"),
    of("scopes", TEXTS, "What a token is to allow"),
    of("audiences", TEXTS, "Whom a token is for"),
    of("username", Shape::Text, "A user's name, for the grant `password`"),
    of("password", Shape::Text, "A user's password, for that grant"),
    of("subject", Shape::Of(&TYPED), "On whose behalf it is asked, for a token exchange"),
    of("actor", Shape::Of(&TYPED), "Who acts, for a token exchange"),
];

const TEXTS: Shape = Shape::List(&Shape::Text);

static CLIENT: Object = object(
    ("oauth2Client", "`client`"),
    "Who asks for a token",
    &[],
    &[&[
        of("id", Shape::Text, "Its name at the server"),
        of("secret", Shape::Text, "Its secret, such as `${ $secrets.client }`"),
        of("assertion", Shape::Text, "A JWT that it signed"),
        of("certificate", Shape::Of(&SECRET), "What it shows in TLS"),
        of(
            "authentication",
            Shape::Words(|| words(CLIENT_AUTHENTICATIONS)),
            "How it proves who it is",
        ),
    ]],
);

static REQUEST: Object = Object {
    open: true,
    ..object(
        ("oauth2Request", "`request`"),
        "How a token is asked for",
        &[],
        &[&[of("encoding", Shape::Words(|| words(ENCODINGS)), "What the request is written in")]],
    )
};

static ENDPOINTS: Object = Object {
    open: true,
    ..object(
        ("oauth2Endpoints", "`endpoints`"),
        "Paths of an OAuth 2.0 server",
        &[],
        &[&[
            of("token", Shape::Uri, "Where tokens are got"),
            of("revocation", Shape::Uri, "Where they are given back"),
            of("introspection", Shape::Uri, "Where they are looked at"),
        ]],
    )
};

static TYPED: Object = object(
    ("typedToken", ""),
    "A token, and of which kind it is",
    &["token", "type"],
    &[&[
        of("token", Shape::Text, "The token"),
        of("type", Shape::Text, "Its kind, a URI of RFC 8693"),
    ]],
);
