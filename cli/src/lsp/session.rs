//! What an editor asks, and what it is answered.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use serde_json::{Value as Json, json};
use windlass_proto::limits::{DEFINITION_BYTES, LSP_DOCUMENTS};

use super::document::Document;
use super::transport::{self, TransportError};

/// Errors of JSON-RPC.
const PARSE_ERROR: i32 = -32_700;
const METHOD_NOT_FOUND: i32 = -32_601;
const INVALID_REQUEST: i32 = -32_600;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it should: the editor said so before.
    Orderly,
    /// It did not.
    Early,
}

/// Speaks to an editor until it ends.
///
/// # Errors
/// When it says what is no message, or nothing can be written to it.
pub(crate) fn serve(from: &mut impl BufRead, to: &mut impl Write) -> Result<Ended, String> {
    let mut session = Session::default();
    loop {
        let message = match transport::read(from) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(session.ended()),
            Err(TransportError::Malformed(why)) => return Err(why),
            Err(TransportError::Io(error)) => return Err(error.to_string()),
        };
        let answers = match message {
            Ok(message) if message["method"] == "exit" => return Ok(session.ended()),
            Ok(message) => session.take(&message),
            Err(why) => vec![error(&Json::Null, PARSE_ERROR, &why)],
        };
        for answer in answers {
            transport::write(to, &answer).map_err(|error| error.to_string())?;
        }
    }
}

fn error(id: &Json, code: i32, message: &str) -> Json {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// What is known of an editor.
#[derive(Default)]
struct Session {
    documents: BTreeMap<String, Document>,
    is_over: bool,
}

impl Session {
    fn ended(&self) -> Ended {
        if self.is_over { Ended::Orderly } else { Ended::Early }
    }

    /// What follows from a message.
    fn take(&mut self, message: &Json) -> Vec<Json> {
        let Some(method) = message["method"].as_str() else {
            // An answer: nothing was asked. Anything else is no message.
            let is_answer = message.get("id").is_some();
            let wrong = || error(&Json::Null, INVALID_REQUEST, "a message has no method");
            return if is_answer { Vec::new() } else { vec![wrong()] };
        };
        let parameters = &message["params"];
        match message.get("id") {
            None => self.notified(method, parameters),
            Some(id) => vec![match self.asked(method, parameters) {
                Some(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
                None => error(id, METHOD_NOT_FOUND, &format!("`{method}` is not known here")),
            }],
        }
    }

    fn asked(&mut self, method: &str, parameters: &Json) -> Option<Json> {
        let uri = parameters["textDocument"]["uri"].as_str().unwrap_or_default();
        let number = |name: &str| {
            usize::try_from(parameters["position"][name].as_u64().unwrap_or(0))
                .unwrap_or(usize::MAX)
        };
        let document = self.documents.get(uri);
        Some(match method {
            "initialize" => json!({
                "capabilities": {
                    // Whole texts.
                    "textDocumentSync": { "openClose": true, "change": 1 },
                    "completionProvider": { "triggerCharacters": [" ", ":"] },
                    "hoverProvider": true,
                },
                "serverInfo": { "name": "windlass", "version": env!("CARGO_PKG_VERSION") },
            }),
            "shutdown" => {
                self.is_over = true;
                Json::Null
            }
            "textDocument/completion" => {
                let found = document.map(|it| it.completion(number("line"), number("character")));
                json!(found.unwrap_or_default())
            }
            "textDocument/hover" => {
                let told = document.and_then(|it| it.hover(number("line"), number("character")));
                told.map_or(
                    Json::Null,
                    |it| json!({ "contents": { "kind": "markdown", "value": it } }),
                )
            }
            _ => return None,
        })
    }

    fn notified(&mut self, method: &str, parameters: &Json) -> Vec<Json> {
        let document = &parameters["textDocument"];
        let Some(uri) = document["uri"].as_str() else { return Vec::new() };
        let text = match method {
            "textDocument/didOpen" => document["text"].as_str(),
            "textDocument/didChange" => {
                let changes = parameters["contentChanges"].as_array();
                changes.and_then(|it| it.last()).and_then(|it| it["text"].as_str())
            }
            "textDocument/didClose" => {
                self.documents.remove(uri);
                return vec![findings(uri, &[])];
            }
            _ => return Vec::new(),
        };
        let Some(text) = text else { return Vec::new() };
        if text.len() > DEFINITION_BYTES {
            // What is kept would be another text than the one that places are told of.
            self.documents.remove(uri);
            return vec![findings(uri, &[too_large()])];
        }
        if self.documents.len() >= LSP_DOCUMENTS && !self.documents.contains_key(uri) {
            return Vec::new();
        }
        let document = Document::new(uri, text.to_owned());
        let found = document.diagnostics();
        self.documents.insert(uri.to_owned(), document);
        vec![findings(uri, &found)]
    }
}

/// What is wrong with a text that is not looked at.
fn too_large() -> Json {
    let start = json!({ "line": 0, "character": 0 });
    json!({
        "range": { "start": start, "end": start }, "severity": 1, "source": "windlass",
        "message": format!("a definition has at most {DEFINITION_BYTES} bytes: this one is not looked at"),
    })
}

fn findings(uri: &str, found: &[Json]) -> Json {
    json!({
        "jsonrpc": "2.0", "method": "textDocument/publishDiagnostics",
        "params": { "uri": uri, "diagnostics": found },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Ended, Session, serve};

    #[test]
    fn what_is_not_known_is_said() {
        let mut session = Session::default();
        let answer = session.take(&json!({"id": 1, "method": "workspace/poem"}));
        assert_eq!(answer[0]["error"]["code"], -32_601);
        assert!(session.take(&json!({"method": "$/poem"})).is_empty());
        assert!(session.take(&json!({"id": 1, "result": 1})).is_empty());
        assert_eq!(session.take(&json!([]))[0]["error"]["code"], -32_600);
    }

    #[test]
    fn a_stream_that_ends_is_an_early_end() {
        assert_eq!(serve(&mut &b""[..], &mut Vec::new()), Ok(Ended::Early));
        assert!(serve(&mut &b"GET / HTTP/1.1\r\n\r\n"[..], &mut Vec::new()).is_err());
        let mut said = Vec::new();
        let broken = b"Content-Length: 1\r\n\r\n{Content-Length: 17\r\n\r\n{\"method\":\"exit\"}";
        assert_eq!(serve(&mut &broken[..], &mut said), Ok(Ended::Early));
        assert!(String::from_utf8_lossy(&said).contains("-32700"));
    }

    #[test]
    fn a_text_that_is_too_large_is_said_to_be_and_forgotten() {
        let mut session = Session::default();
        let document = |text: &str| json!({"uri": "file:///a.yaml", "text": text});
        let opened =
            json!({"method": "textDocument/didOpen", "params": {"textDocument": document("")}});
        session.take(&opened);
        let text = "a\n".repeat(super::DEFINITION_BYTES);
        let changed = json!({"method": "textDocument/didChange", "params": {
            "textDocument": document(""), "contentChanges": [{"text": text}]}});
        let told = session.take(&changed);
        let found = &told[0]["params"]["diagnostics"];
        assert!(found[0]["message"].as_str().is_some_and(|it| it.contains("at most")), "{found}");
        for line in [3, u64::MAX] {
            let asked = json!({"id": 1, "method": "textDocument/completion", "params": {
                "textDocument": document(""), "position": {"line": line, "character": 2}}});
            assert!(session.take(&asked)[0]["result"].is_array(), "{line}");
            session.take(&opened);
        }
    }

    #[test]
    fn findings_completions_and_hovers_are_of_the_text() {
        let mut session = Session::default();
        let text = "document: { dsl: 1.0.3, namespace: a, name: b, version: 1.0.0 }\ndo:\n- a:\n    call: http\n    with:\n      method: get\n      endpoint: http://a\n      outptu: raw\n";
        let open = |text: &str| json!({"method": "textDocument/didOpen", "params": {"textDocument": {"uri": "file:///a.yaml", "text": text}}});
        let told = session.take(&open(text));
        let found = &told[0]["params"]["diagnostics"];
        assert_eq!(found[0]["range"]["start"], json!({"line": 7, "character": 6}), "{found}");
        let at = |line: u32, character: u32| json!({"textDocument": {"uri": "file:///a.yaml"}, "position": {"line": line, "character": character}});
        let mut ask = |method: &str, line, character| {
            session.take(&json!({"id": 1, "method": method, "params": at(line, character)}))[0]["result"].clone()
        };
        let offered = ask("textDocument/completion", 7, 9);
        let labels: Vec<_> = offered
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["label"].as_str())
            .collect();
        assert!(labels.contains(&"output") && !labels.contains(&"method"), "{labels:?}");
        let hover = ask("textDocument/hover", 6, 9);
        assert!(
            hover["contents"]["value"].as_str().is_some_and(|it| it.starts_with("**endpoint**")),
            "{hover}"
        );
        assert_eq!(ask("textDocument/hover", 99, 9), serde_json::Value::Null);
    }
}
