//! What a `.proto` file must not ask for, looked at before the compiler sees it: the compiler
//! recurses, and keeps the full name of everything that is declared.

use windlass_proto::limits;

/// Checks one file; gives the bytes of all full names that it declares, at most.
///
/// # Errors
/// Why it is not compiled.
pub(super) fn check(text: &str) -> Result<usize, String> {
    let mut state = State::default();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match first {
            b'/' if after.first() == Some(&b'/') => line(after),
            // Skipped like a comment by the compiler too, which refuses it only afterwards.
            b'#' => line(after),
            b'/' if after.first() == Some(&b'*') => comment(&after[1..]),
            b'"' | b'\'' => string(*first, after),
            it if is_of_word(*it) => {
                let length = rest.iter().take_while(|it| is_of_word(**it)).count();
                let (word, after) = rest.split_at(length);
                state.word(word)?;
                after
            }
            _ => {
                state.mark(*first)?;
                after
            }
        };
    }
    Ok(state.names)
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

fn after(rest: &[u8], end: Option<usize>, length: usize) -> &[u8] {
    end.and_then(|at| rest.get(at + length..)).unwrap_or_default()
}

fn line(rest: &[u8]) -> &[u8] {
    after(rest, rest.iter().position(|it| *it == b'\n'), 1)
}

fn comment(rest: &[u8]) -> &[u8] {
    after(rest, rest.windows(2).position(|it| it == b"*/"), 2)
}

/// What follows a string; one that does not end on its line is the compiler's to refuse.
fn string(quote: u8, rest: &[u8]) -> &[u8] {
    let mut escaped = false;
    let end = rest.iter().position(|it| {
        let ends = !escaped && *it == quote || *it == b'\n';
        escaped = !escaped && *it == b'\\';
        ends
    });
    after(rest, end, 1)
}

#[derive(Default)]
struct State {
    /// For each open bracket the length of the full name around it.
    scopes: Vec<usize>,
    /// The length of the package.
    package: usize,
    /// Words of the statement so far.
    words: usize,
    is_package: bool,
    is_edition: bool,
    /// The longest word of it.
    longest: usize,
    names: usize,
}

impl State {
    fn word(&mut self, word: &[u8]) -> Result<(), String> {
        if word.len() > limits::PROTO_WORD_BYTES {
            let most = limits::PROTO_WORD_BYTES;
            return Err(format!("it has a word of {} bytes, more than {most}", word.len()));
        }
        if self.words == 0 {
            self.is_package = word == b"package";
            self.is_edition = word == b"edition" && self.scopes.is_empty();
        }
        self.words += 1;
        self.longest = self.longest.max(word.len());
        Ok(())
    }

    fn mark(&mut self, mark: u8) -> Result<(), String> {
        match mark {
            // `edition = "2023";`, and not a message of that name, which would be in a message.
            b'=' if self.is_edition && self.words == 1 => {
                let why = "it is written in an edition, which is not supported: write it with \
                           `syntax = \"proto3\"` or `\"proto2\"`";
                Err(why.into())
            }
            b'{' => {
                let scope = self.scope() + self.longest + 1;
                self.declared()?;
                self.open(scope)
            }
            b'(' | b'[' | b'<' => self.open(self.scope()),
            b'}' => {
                self.scopes.pop();
                self.ended();
                Ok(())
            }
            b')' | b']' | b'>' => {
                self.scopes.pop();
                Ok(())
            }
            b';' => {
                if self.is_package && self.scopes.is_empty() {
                    self.package = self.longest + 1;
                }
                self.declared()
            }
            _ => Ok(()),
        }
    }

    fn scope(&self) -> usize {
        self.scopes.last().copied().unwrap_or(self.package)
    }

    fn open(&mut self, scope: usize) -> Result<(), String> {
        if self.scopes.len() >= limits::PROTO_LEVELS {
            return Err(format!("it is nested more than {} levels deep", limits::PROTO_LEVELS));
        }
        self.scopes.push(scope);
        Ok(())
    }

    /// A statement has ended, which may have declared something.
    fn declared(&mut self) -> Result<(), String> {
        self.names += self.scope() + self.longest;
        self.ended();
        within(self.names)
    }

    fn ended(&mut self) {
        (self.words, self.longest) = (0, 0);
        (self.is_package, self.is_edition) = (false, false);
    }
}

/// Checks the bytes of full names of one file, or of some.
pub(super) fn within(names: usize) -> Result<(), String> {
    if names > limits::PROTO_NAMES_BYTES {
        let most = limits::PROTO_NAMES_BYTES >> 20;
        return Err(format!("what it declares has full names of more than {most} MiB together"));
    }
    Ok(())
}
