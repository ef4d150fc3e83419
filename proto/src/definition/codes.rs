//! Every code a finding may carry, with what `windlass explain` says about it.
//!
//! `WL01xx` text and structure, `WL02xx` accepted beside the specification, `WL03xx` references,
//! `WL04xx` expressions. A code keeps its meaning for ever; retired ones are not used again.

macro_rules! codes {
    ($($name:ident $code:literal $text:literal)*) => {
        $(pub(super) const $name: &str = $code;)*

        /// Code and explanation, in the order of codes.
        pub(super) const TABLE: &[(&str, &str)] = &[$(($code, $text)),*];
    };
}

codes! {
TOO_LARGE "WL0101" "The text of a definition is larger than Windlass reads (1 MiB). \
Definitions are read whole and kept in memory; what makes them large is mostly data. Move schemas to \
`schema.resource`, scripts to `run.script.source`, or split the workflow and call the parts with `run.workflow`."
MALFORMED "WL0102" "The text is neither YAML 1.2 nor JSON. The place is where the parser could not go on; the mistake is \
often a line earlier: a missing quote, a tab in the indentation, or a `: ` inside an unquoted text, as in \
`message: Error: not found`. Quote such text: `message: \"Error: not found\"`."
TOO_DEEP "WL0103" "The definition nests deeper than 64 levels of lists and mappings. Such nesting comes from \
generated or hostile text. Move inner tasks to `use.functions` and `call` them, or to a workflow of their own."
TOO_MANY_NODES "WL0104" "After its aliases are expanded the definition has more than 200,000 values. Each `*alias` counts \
as much as what it stands for, so a few lines can expand without end. Use fewer aliases, or move data elsewhere."
DUPLICATE_KEY "WL0105" "A mapping has the same key twice, such as two `do:` in one task. YAML forbids it, as one of the \
two would be lost silently. Remove one, or rename it."
SEVERAL_DOCUMENTS "WL0106" "The text holds several YAML documents separated by `---`. A definition is one document: \
keep each workflow in a file of its own."
BAD_TAG "WL0107" "A YAML tag such as `!include` or `!!binary` is used. Definitions hold plain JSON data, so only the tags \
of the core schema (`!!str`, `!!int`, `!!float`, `!!bool`, `!!null`, `!!map`, `!!seq`) are understood, where they fit. Remove the tag."
BAD_KEY "WL0108" "A key of a mapping is missing or is itself a list or mapping. Keys are strings. Text that starts with \
`{` or `[` must be quoted, or YAML reads it as data: write `\"{a}\": 1`."
BAD_ALIAS "WL0109" "An alias stands inside the node it refers to, so it could never be expanded, as in `a: &a [*a]`. \
An anchor can be used only after its node has ended."
EMPTY "WL0110" "The definition has no content: an empty file, or one of comments only. A workflow needs at least \
`document` (with `dsl`, `namespace`, `name`, `version`) and `do`."
BAD_NUMBER "WL0111" "A number such as `.inf`, `.nan` or `1e999` cannot be written in JSON, which is what flows \
through a workflow. Quote it to make it a string."
WRONG_TYPE "WL0120" "A property holds another type of value than the specification gives it, such as a string where a \
list of tasks belongs. An empty value (`timeout:` with nothing after it) counts as null and is refused too: remove the key."
MISSING "WL0121" "A required property is missing, such as `method` of an HTTP call. Add it at the place shown."
UNKNOWN_KEY "WL0122" "A property is not known here, and the specification allows no others. It is a typing error, it is \
indented too far or too little, or it belongs to another kind of task. Example: `endpoint` beside `with` instead of inside it."
IGNORED_KEY "WL0123" "A property is not known here. The specification allows further properties at this place, so it \
is ignored; check that it is not a typing error."
NOT_ONE_OF "WL0124" "A property takes one of a few words and has another, such as `output: body` in an HTTP call, where `raw`, \
`content` and `response` are possible. Words are case-sensitive."
BAD_PATTERN "WL0125" "A text does not have the form it must have: names and namespaces are up to 63 letters, digits and \
inner dashes, versions are semantic versions such as `1.0.0` (quote them when YAML reads a number: `dsl: 1.0` is one), \
URIs hold no spaces, cron expressions have five to seven fields."
CONFLICT "WL0126" "Properties exclude each other, or one of several must be given. Example: a schema has either `document` \
or `resource`; `run` has one of `container`, `script`, `shell`, `workflow`."
UNSUPPORTED_DSL "WL0127" "`document.dsl` names a major version of the DSL that Windlass does not run. It runs 1.0.x."
NEWER_DSL "WL0128" "`document.dsl` names a minor version of the DSL newer than 1.0. The workflow is accepted, but what that version added \
may be refused or ignored."
BAD_DURATION "WL0129" "A duration is neither ISO 8601 text such as `PT1H30M`, nor an object of `days`, `hours`, `minutes`, \
`seconds`, `milliseconds` with whole numbers, nor an expression that gives one of these. `5s` and `PT` are none of them. \
It may not be negative, nor longer than a hundred years of 365 days."
NOT_ONE_TASK "WL0130" "An item of a task list must be a mapping with one key, the task's name. Two tasks in one item are \
mostly a missing dash. Write `- first: {…}` and `- second: {…}`."
DUPLICATE_TASK "WL0131" "Two tasks of one list have the same name, so a `then` to that name could mean either: that is refused. As long as no `then` names them it is \
accepted, but people and tools can hardly tell them apart. Rename one. The same name in different lists is fine."
RESERVED_NAME "WL0132" "A task is called `continue`, `exit` or `end`. These are flow directives: `then: end` ends the workflow, \
it never goes to a task of that name. Rename the task if anything should jump to it."
NO_TASK_TYPE "WL0133" "A task has no property that says what it does: one of `call`, `do`, `emit`, `for`, `fork`, `listen`, \
`raise`, `run`, `set`, `switch`, `try`, `wait`. It may be misspelt or indented wrongly."
SEVERAL_TASK_TYPES "WL0134" "A task has several properties that each say what it does, such as `call` and `set`. Split it into \
two tasks. (`for` goes with `do`, `try` with `catch`, `listen` with `foreach`.)"
TOO_FEW "WL0135" "A list or mapping must not be empty here: `set` needs a property, `switch` a case, an event filter an attribute."
SEVERAL_DEFAULTS "WL0136" "A `switch` has several cases without `when`. Such a case is the default, taken when no other \
matches, so there can be one. Give the others a `when`, or remove them."
NESTED_UNTIL "WL0137" "The strategy in `until` has an `until` of its own, which the specification forbids: what ends the listening \
must itself be one, all or any of some events."
OUT_OF_RANGE "WL0138" "A number is outside what the property allows, such as a port above 65535 or a negative count."
BAD_SCHEMA "WL0139" "The document in `schema` is not a JSON Schema, or refers to another document with `$ref`. References are \
resolved only inside the document: put shared parts under `$defs`, or load the whole schema with `resource`."
SCHEMA_FORMAT "WL0140" "`schema.format` names a format Windlass cannot check. It checks `json`, also written with a version \
as `json:2020-12`."
BAD_VARIABLE "WL0142" "A variable name (`each`, `at`, `item`, `as`) is not an identifier of jq: letters, digits and `_`, not \
starting with a digit. It could not be used as `$name` in any expression."
BAD_INSTANCE "WL0143" "`raise.error.instance` is neither a JSON pointer (`/do/0/task`) nor an expression. The error gets the pointer of \
the task that raises it. Remove the property: the runtime sets it."
LONG_NAME "WL0144" "The name of a task, function or extension has more than 128 bytes. Names are repeated in the pointers of everything \
inside, in idempotency keys and in headers. Shorten it; long explanations go into `metadata`."
BAD_POOL "WL0145" "`metadata.windlass.pool` is not the name of a pool of workers: 1 to 64 letters, digits, dashes and underscores, as workers are \
started with (`windlass worker --pool gpu`). A task goes to workers of its own pool, else of the document's, else of the pool `default`."
COSTLY_SCHEMA "WL0146" "Checking a value against the schema could take without bound. A reference counts for all it leads to, so \
schemas that each refer twice to the next double with every one; or it refers to itself without going into the value. At most 10,000 schemas and \
keywords may apply to one value, nested 64 deep. Say less with `anyOf`, `allOf` and `$ref`, and use simpler patterns."
UNNAMED_TASK "WL0150" "A task has an empty name. Findings, history and `then` name tasks by their names, and its pointer ends with `/`. Give it a name."
NEVER_MATCHES "WL0151" "A filter of events has a condition that no event meets: a list or a mapping where events have a text (`type`, `source`, `id`, `subject` …), an attribute \
with capitals or signs in its name (attributes of CloudEvents have lower-case letters and digits: `datacontenttype`), or a regular expression that is none, such as `*` \
(write `.*`). Whatever listens with it waits in vain."
LISTEN_WITHOUT_END "WL0152" "A `listen` that no event can end: all of its filters match no event, or its `until` is always false. The task waits until it is cancelled. \
Correct the filter, write an `until` that some event makes true, or give the task a `timeout`."
LITERAL_EXPRESSION "WL0153" "A property that is taken as it is written holds `${ }`: `operationId`, names of services and methods, and the `code` of scripts. It is not evaluated there. \
Scripts get data by `arguments`, `environment` and `stdin`; between operations a `switch` can choose."
UNSUPPORTED "WL0160" "The specification has it, and this version of Windlass cannot do it yet: parts of calls by AsyncAPI, versions of MCP, \
and schemas at another place for what the coordinator runs itself. `validate` warns, `validate --strict`, `deploy`, `run` and `dev` refuse it; \
`--allow-unsupported` takes the definition all the same, and a task of that kind then waits until a worker offers it."
TEST_KEY "WL0170" "A key of a file of tests (`windlass test`) is not known where it stands. It is a typing error, it is indented too far or too little, or it belongs to \
another part. docs/testing.md has all keys."
TEST_VALUE "WL0171" "A value in a file of tests (`windlass test`) is not what belongs there: a list where a mapping is expected, a duration that is none, a status that no response has, \
a part that is missing. The message says what belongs there; docs/testing.md has examples."
TEST_TARGET "WL0172" "A test names a task that is in none of its workflows. A task is named as in its list (`charge`), which means all tasks of that name, or by the JSON pointer that history and findings show (`/do/1/charge`)."
BAD_RATE "WL0173" "`metadata.windlass.limit.rate` is not a number and a unit: `10/s`, `100/m`, `1000/h`, `5/d`. At most so many begin in any second, minute, hour or day."
NO_LIMIT "WL0174" "`metadata.windlass.limit` has neither `concurrency` nor `rate`, so that it would limit nothing; or `onFull: cancel-oldest` stands beside a `rate` alone, \
under which the end of another one makes no room."
BAD_LIMIT_NAME "WL0175" "`metadata.windlass.limit.name` is not a name: 1 to 64 letters, digits, dashes, underscores and dots. All limits of one name in a namespace count together; \
without a name, a limit counts alone. What differs from instance to instance goes into `key`: `key: ${ .tenant }`."
BAD_KEEP "WL0177" "`metadata.windlass.keepEvents` of a document is not a time for which events can be kept: more than nothing, and seven \
days at most. It is how long an event that a `listen` of the workflow may take is kept when it comes before any instance listens, where that is \
to be longer than `--event-ttl` of the server. Write a duration, such as `P1D`, without an expression."
BAD_ASSIGNEES "WL0178" "`assignees` of `windlass.approval` names nobody, or too many: it has `roles`, `users` or both, lists of at most 50 names each. A role is one of \
auth.toml or a built-in one (`approver`) that somebody has for the workflow; a user is written `ISSUER:SUBJECT`, as `windlass auth whoami` shows it. Without `assignees` everybody \
may decide who has the permission approval.decide for the workflow."
TRY_DO "WL0201" "`try` holds a mapping with `do`. The specification writes the list itself: `try: [ - task: … ]`. Accepted as if so written."
TRY_TASK "WL0202" "`try` holds a single task. The specification wants a list of named tasks. Accepted as a list with one task called `try`."
CATCH_LIST "WL0203" "`catch` is a list of clauses. The specification has one clause; accepted, the first clause whose filter \
matches handles the error. Tasks in a clause have the pointer `/catch/<n>/do/…`."
CATCH_ERROR "WL0204" "`catch.error` is written where the specification has `catch.errors.with`. Accepted: a text is the type of \
the error, a mapping is a filter, a list means any of its entries."
CATCH_HANDLE "WL0205" "`catch.handle` is written where the specification has `catch.do`. Accepted as `do`."
CALL_FUNCTION "WL0206" "`call: function` with `with.function` and `with.arguments`. The specification calls a function by its \
name: `call: logError` with the arguments directly in `with`. Accepted, unless a function is itself called `function`."
GRANT_DASHES "WL0207" "An OAuth2 grant is written with dashes. The names have underscores: `client_credentials`. Accepted."
LANGUAGE_ALIAS "WL0208" "A script's language is written in another way than the specification's `js` and `python`, such as \
`javascript`. Accepted."
ARGUMENT_MAP "WL0209" "`arguments` of a script or command is a mapping; the specification has a list since 1.0.2 (with `dsl: 1.0.0` and `1.0.1` a mapping is right for \
scripts and shell commands). Accepted: each entry becomes `--key value`, and scripts also see variables named after the keys."
WITH_URI "WL0210" "An HTTP call has `with.uri`, with or without `with.authentication`. The specification has `with.endpoint`, a URI or `{uri, authentication}`. Accepted as such."
DURATION_CASE "WL0211" "A unit of a duration is written with capitals, such as `Seconds`. The units are in lower case. Accepted."
NOT_A_STRING "WL0212" "A number or boolean stands where a string belongs, such as `password: 123`. Accepted as the text it is \
written with. Quote it, or YAML may change it: `0123` and `1.10` are numbers."
AUTHENTICATION_NAME "WL0213" "`authentication` holds a name. The specification writes `authentication: { use: name }`. Accepted."
BEARER_TEXT "WL0214" "`bearer` holds a text. The specification writes `bearer: { token: … }`. Accepted."
DISCOVERY_AUTHORITY "WL0215" "`authority` ends with `/.well-known/openid-configuration`. The authority is the part before it; the \
rest is appended when the configuration is discovered. Accepted."
BARE_SECRET "WL0216" "A text names a secret outside `${ }`, as in `Bearer $SECRETS.api-key`. By the specification that is literal text. Windlass \
replaces it by the secret; write `${ \"Bearer \" + $secrets[\"api-key\"] }` to be understood everywhere. `$$SECRETS` stays literal."
SECRETS_SPELLING "WL0217" "An expression calls the secrets `$secret`, `$SECRET` or `$SECRETS`. The specification's name is `$secrets`. Accepted."
WORKFLOW_DEFAULTS "WL0218" "`run.workflow` has no `namespace` or no `version`. Accepted: the caller's namespace and the latest version. Name the \
version to keep the workflow's behaviour when a new one is deployed."
FOR_WITHOUT_DO "WL0219" "A `for` task has no `do`, so it does nothing for each item. Older versions of the schema allow it."
VARIABLE_DOLLAR "WL0220" "A variable is declared with `$` in front (`each: $item`). It is declared without and used with: \
`each: item`, then `$item`. Accepted."
ERROR_DETAILS "WL0221" "An error is given `details`. The property is called `detail`, as in RFC 7807. Accepted."
COMPUTED_STATUS "WL0222" "`status` of an error is an expression or a text; the specification has a whole number. Accepted when it gives one."
COMPUTED_UNIT "WL0223" "A unit of a duration is an expression; the specification has whole numbers, or one expression for the whole duration. Accepted."
EXTEND_EXTENSION "WL0224" "An extension extends `extension`. Extensions never apply to the tasks of extensions, so it never runs. Remove it."
SCALAR_LIST "WL0225" "A single value stands where the specification has a list, such as `scopes: read`. Accepted as a list of one."
DOCUMENT_DESCRIPTION "WL0226" "`document` has a `description`. The specification's word is `summary`, a text in Markdown. Accepted as `summary`, unless that is there as well."
DOCUMENT_EXTENSION "WL0227" "`document` has a property whose name begins with `x-`. The specification has no such properties; what is for tools and people goes into \
`document.metadata` or `document.tags`. Accepted; nothing looks at it, but `$workflow.definition` shows it."
BARE_SCHEMA "WL0228" "`schema` holds a JSON Schema where the specification has an envelope: `schema: { format: json, document: { type: object } }`. Accepted as if it stood under `document`."
SHORT_VERSION "WL0229" "`dsl` or `version` of a document is written short, as `1.0` or `1`. They are semantic versions: three numbers, `1.0.0`. Accepted, with zeros for \
what is missing. Quote it: YAML reads `1.10` as the number 1.1, though here it is taken as it is written."
NO_VERSION "WL0230" "`document` has no `version`. Accepted as `0.0.0` where a workflow is run on the spot, by `windlass run` and `windlass dev`; a server that keeps \
definitions refuses it (WL0121), as it could not tell one from the next. Write `version: 0.1.0`."
NAMESPACE_SIGNS "WL0231" "`namespace` has dots or underscores inside. By the specification it has letters, digits and dashes, as a name in DNS. Accepted; it is another \
namespace than the one with dashes in their place. On the bus a dot is `%2E` in the name of a subject."
WAIT_DURATION "WL0232" "`wait` holds `duration`. The specification has the duration itself: `wait: PT5S` or `wait: { seconds: 5 }`. Accepted."
SHORT_ARGUMENTS "WL0233" "`args` is written where the specification has `arguments`. Accepted with this warning; an error with `--strict`. Write `arguments`."
URL_FOR_URI "WL0234" "`url` is written where the specification has `uri` (of an endpoint) or `endpoint` (of an HTTP call). Accepted."
SHELL_DATA "WL0235" "The command of `run.shell` has data put into it with `${ }`. The shell reads what is in the data as a part of the command: `$(…)`, quotes, `;` and `&&` are \
carried out. Hand data over beside the command: `command: 'echo \"$1\"'` with `arguments: [ '${ .name }' ]`, or `command: 'echo \"$NAME\"'` with \
`environment: { NAME: '${ .name }' }`. An expression that quotes with `@sh` is not warned of."
BACKOFF_PROPERTY "WL0236" "A property of `backoff` has no effect. The specification names none inside `constant`, `linear` and \
`exponential`; Windlass knows `multiplier` (1 to 1000, 2 unless given) and `maxDelay` of `exponential`. The first delay is `delay`, beside `backoff`. No delay is \
longer than a hundred years, whatever the backoff makes of it."
THEN_TARGET "WL0301" "`then` names a task that is not in the same list. The flow can go only to siblings: not into or out of `do`, `for`, \
`try`, `catch`, and not from one branch of a `fork` to another. Other values are `continue`, `exit` (the end of this list) and `end` (the end of the workflow)."
NO_AUTHENTICATION "WL0302" "`authentication.use` names nothing in `use.authentications`. Define it there, or write it in place."
NO_RETRY "WL0303" "`catch.retry` names nothing in `use.retries`. Define it there, or write the policy in place."
NO_TIMEOUT "WL0304" "`timeout` names nothing in `use.timeouts`. Define it there, or write it in place: `timeout: { after: PT30S }`."
NO_ERROR "WL0305" "`raise.error` names nothing in `use.errors`. Define it there, or write the error in place."
NO_FUNCTION "WL0306" "`call` names a function that is neither in `use.functions` nor offered by the workers, and no built-in call \
(`http`, `grpc`, `openapi`, `asyncapi`, `a2a`, `mcp`). Check the spelling, or define the function."
UNCHECKED_FUNCTION "WL0307" "`call` names a function that is not in `use.functions`. Workers may offer it by name; that cannot be checked here. \
If none does, the task raises a configuration error when it runs."
NO_CATALOG "WL0308" "`call: name:version@catalog` names nothing in `use.catalogs`. Define the catalog there, or use `@default`."
NO_SECRET "WL0309" "`use` of an authentication names a secret that is not in `use.secrets`. Workflows reach only the secrets they declare. \
(For a policy of `use.authentications` write `authentication: { use: name }`, not `basic: { use: name }`.)"
UNDECLARED_SECRET "WL0310" "An expression names a secret that `use.secrets` does not declare. The access will be refused, with an \
authorization error (403) that `try` can catch. Declare the secret, or check the spelling."
USE_IN_USE "WL0311" "A policy in `use.authentications` refers to another with `use`. Write the policy itself there. A secret goes \
inside the scheme: `basic: { use: mySecret }`."
SECRET_WITHOUT_SLOT "WL0312" "The name of a secret in `use.secrets` cannot be a part of a path in a store: it is empty, `-` or `.`, \
begins or ends with a space, or holds `/`, `*`, `+`, `{`, `}`, `\\`, `%`, `?`, `#`, `..` or a control character. Vault's policies find secrets by their names, \
so this one is found only where the workers' secrets.toml gives it a place of its own, `[vault.secret.\"team+db\"]` with a `path` without `{name}`, and \
`windlass secret setup vault` was run with that file. Anywhere else the task that reads it fails with an authorization error (403). Letters, digits, `-`, `_` \
and `.` are always good."
BAD_FUNCTION_REFERENCE "WL0313" "`call` names a function of a catalog in a way that leads nowhere. It is `name:version@catalog`, with a catalog of `use.catalogs` or `default`; \
`name:version@https://…` with the URL of a catalog; or the URL of a `function.yaml`. Names and versions are letters, digits, `-`, `_`, `.` and `+`. The endpoint of a catalog is \
a URI without expressions, as functions are fetched when the definition is deployed and not when it runs."
FUNCTION_NOT_FETCHED "WL0314" "A function of a catalog is not there. `windlass deploy`, `run`, `dev` and `validate --online` fetch the functions that a definition calls and pin \
them to its text, so that what runs is what was deployed; functions of the default catalog are the server's (`windlass function list`). The message says which and why: \
check the name, the version and the endpoint, and the rights of who deploys."
BAD_FUNCTION "WL0315" "A function of a catalog is no task that can be used here. Its text is one task, as it would stand below a name in `do`. It sees `with` as its input, the default \
catalog and the catalogs of the workflow; `use` of the workflow and its secrets are not its own, so pass what it needs by `with`. The message has the place in the function's text."
TOO_MANY_FUNCTIONS "WL0316" "A definition calls more than 32 functions of catalogs, those that its functions call counted as well. Define some in `use.functions`, or split the workflow."
BAD_PINS "WL0317" "What stands after the end of a definition, where functions of catalogs are pinned to it, is not what Windlass wrote there: it was edited or cut. \
Deploy the definition itself; its functions are fetched again."
BAD_EXPRESSION "WL0401" "A runtime expression is not valid jq, or names a variable that nothing binds here. Strings in jq take double quotes, \
so put the whole expression in single quotes: `if: '.status == \"sold\"'`. Variables of `for`, `catch` and `foreach` exist only inside these tasks."
EXPRESSION_LANGUAGE "WL0402" "`evaluate.language` names a language other than `jq`. Windlass evaluates jq."
LOOSE_TEXT "WL0403" "`evaluate.mode` is `loose`, so each text in data that is jq is evaluated, with and without `${ }`. This one looks as if it was not meant to be: \
jq has functions of many words (`length`, `type`, `first`, `now`), and `2026-01-31` is a subtraction for it. Write `${ \"length\" }` for the text itself, or leave `mode` out \
and put expressions into `${ }`."
ALWAYS_NULL "WL0410" "An expression names an argument that is null where it stands: `$input` in `if` and `input.from` (the input is `.` there), `$output` anywhere but in `export.as` \
and in tasks of extensions (in `output.as` the output is `.`), `$task` and `$authorization` outside of tasks."
LIKE_EXPRESSION "WL0411" "A text in data looks like an expression: `.count + 1`, `$context.x`, `now()`. In data only what stands in `${ }` is evaluated: write `${ .count + 1 }`. \
If it is meant as text, leave it."
ASSIGNMENT "WL0412" "A condition assigns with `=` where it should compare: `.approved = true` changes the value and gives it, so the condition is true whatever `.approved` \
was. Write `.approved == true`."
ALWAYS_TRUE "WL0413" "A condition cannot be false. In jq only `false` and `null` are not true: a number is true, also `0` (`.items | length`), and so is a text, also an empty one \
(`.a == 1 or \"b\"`). Compare: `(.items | length) > 0`. `.x // true` gives `true` for `false` as well: write `.x != false`."
NO_TYPE "WL0414" "`type` is a function of jq: it gives \"object\", \"array\", \"string\", \"number\", \"boolean\" or \"null\". Compared with another text it is never equal. \
The property of that name is written `.type`."
BAD_URI_TEMPLATE "WL0420" "The braces of a URI hold what RFC 6570 does not know, such as `{user name}`, `{x:0}` or `{!x}`. `{name}` takes the top-level property `name` of the input; `{?a,b}`, `{/a*}`, `{+path}`, `{name:3}` and the other operators and modifiers are there as well. A value that is computed stands in `${ }`, and braces that are meant as such are written `%7B` and `%7D`."
DOUBTFUL_TEMPLATE "WL0421" "A name in the braces of a URI likely is no property of the input, and a name without a property expands to nothing: `/orders/{id}` would call \
`/orders/`. Braces take top-level properties by their names. They know no variables, so in a `for` it is `${ $item }`; `{order.id}` is the property `order.id`, so what is inside of another is \
`${ .order.id }`; and `{.id}` puts a dot before the value."
}

/// Every code with what it means, in the order of codes.
pub fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().copied()
}

/// What `code` means, with an example and what to do; `None` for a code that does not exist.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    TABLE.iter().find(|(known, _)| *known == code).map(|(_, text)| *text)
}
