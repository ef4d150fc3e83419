//! JavaScript without what is no code: comments, and the inside of strings and regular expressions.

use std::iter::Peekable;
use std::str::Chars;

/// The code with blanks for comments and for what stands in quotes; lines and quotes stay. Good
/// enough to look for words: where a `/` may be either, what comes before it decides.
pub(super) fn bare(code: &str) -> String {
    Bare { out: String::with_capacity(code.len()), rest: code.chars().peekable(), nesting: vec![] }
        .run()
}

struct Bare<'c> {
    out: String,
    rest: Peekable<Chars<'c>>,
    /// Braces that are open in each `${` of a template that is open.
    nesting: Vec<usize>,
}

impl Bare<'_> {
    fn run(mut self) -> String {
        while let Some(c) = self.rest.next() {
            match c {
                '/' if self.rest.peek() == Some(&'/') => self.line_comment(),
                '/' if self.rest.peek() == Some(&'*') => self.block_comment(),
                '/' if self.begins_pattern() => self.pattern(),
                '\'' | '"' => self.quoted(c),
                '`' => self.template(),
                '{' => {
                    self.out.push(c);
                    self.nesting.last_mut().into_iter().for_each(|open| *open += 1);
                }
                '}' => {
                    self.out.push(c);
                    match self.nesting.last_mut() {
                        // The end of `${ }`: the template goes on.
                        Some(0) => {
                            self.nesting.pop();
                            self.template_text();
                        }
                        Some(open) => *open -= 1,
                        None => {}
                    }
                }
                other => self.out.push(other),
            }
        }
        self.out
    }

    fn blank(&mut self, c: char) {
        self.out.push(if c == '\n' { c } else { ' ' });
    }

    fn line_comment(&mut self) {
        while let Some(c) = self.rest.next_if(|it| *it != '\n') {
            self.blank(c);
        }
    }

    fn block_comment(&mut self) {
        let mut before = ' ';
        // The first star does not end it.
        self.rest.next();
        for c in self.rest.by_ref() {
            self.out.push(if c == '\n' { c } else { ' ' });
            if before == '*' && c == '/' {
                return;
            }
            before = c;
        }
    }

    /// A backslash that was read, and the sign it escapes.
    fn escape(&mut self) {
        self.blank('\\');
        if let Some(escaped) = self.rest.next() {
            self.blank(escaped);
        }
    }

    fn quoted(&mut self, quote: char) {
        self.out.push(quote);
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(),
                // A string does not go over a line: it was no string, or is an error anyway.
                _ if c == quote || c == '\n' => return self.out.push(c),
                _ => self.blank(c),
            }
        }
    }

    fn template(&mut self) {
        self.out.push('`');
        self.template_text();
    }

    fn template_text(&mut self) {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(),
                '`' => return self.out.push(c),
                '$' if self.rest.next_if_eq(&'{').is_some() => {
                    self.out.push_str("${");
                    return self.nesting.push(0);
                }
                _ => self.blank(c),
            }
        }
    }

    /// True where a `/` begins a regular expression: where a value is expected.
    fn begins_pattern(&self) -> bool {
        let before = self.out.trim_end();
        let Some(last) = before.chars().next_back() else { return true };
        if !(last.is_alphanumeric()
            || matches!(last, '_' | '$' | ')' | ']' | '}' | '"' | '\'' | '`'))
        {
            return true;
        }
        let word = before.rsplit(|it: char| !it.is_alphanumeric() && it != '_' && it != '$').next();
        matches!(
            word,
            Some("return" | "typeof" | "case" | "in" | "of" | "await" | "yield" | "void")
        )
    }

    fn pattern(&mut self) {
        self.out.push('/');
        let mut class = false;
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(),
                '/' if !class => return self.out.push(c),
                '\n' => return self.out.push(c),
                _ => {
                    class = (class || c == '[') && c != ']';
                    self.blank(c);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bare;

    /// The words that are left.
    fn words(code: &str) -> Vec<String> {
        let bare = bare(code);
        assert_eq!(bare.matches('\n').count(), code.matches('\n').count(), "{code}");
        let words = bare.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
        words.map(str::to_owned).collect()
    }

    #[test]
    fn what_is_no_code_is_blank() {
        for (code, left) in [
            ("a // b\nc", vec!["a", "c"]),
            ("a /* b\n b */ c /*/ b */ d", vec!["a", "c", "d"]),
            (r#"a 'b' "b\" b" c"#, vec!["a", "c"]),
            ("a `b ${c} b ${ {d: `b ${e}`} } b` f", vec!["a", "c", "d", "e", "f"]),
            ("a = /b'/ ; c", vec!["a", "c"]),
            ("a / c / d", vec!["a", "c", "d"]),
            ("a = f(/[/']b/) + c", vec!["a", "f", "c"]),
            ("return /'b/.test(c)", vec!["return", "test", "c"]),
            ("a 'b\nc", vec!["a", "c"]),
            ("a = 'b", vec!["a"]),
            ("a `b", vec!["a"]),
            ("} a", vec!["a"]),
        ] {
            assert_eq!(words(code), left, "{code}");
        }
    }
}
