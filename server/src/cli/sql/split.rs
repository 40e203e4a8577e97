//! Lines to statements: a statement ends at a semicolon that is in no quotes and no comment.

/// Collects lines until a statement is whole.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    text: String,
    within: Within,
}

/// What a line break or semicolon would be part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Nothing,
    /// A string or a quoted name, closed by the same character.
    Quotes(char),
    /// A string between two of these: `$$` or `$tag$`.
    Dollars(String),
    /// `/* … */`, which nest.
    Comment(usize),
}

impl Splitter {
    /// Takes one line without its line break and gives the statements that it completes.
    pub(super) fn push(&mut self, line: &str) -> Vec<String> {
        let mut statements = Vec::new();
        let mut rest = line;
        while let Some(letter) = rest.chars().next() {
            let bytes = self.step(rest, letter);
            let (taken, after) = rest.split_at(bytes);
            self.text.push_str(taken);
            rest = after;
            if taken == ";" && self.within == Within::Nothing {
                statements.extend(self.take());
            }
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        statements
    }

    /// What is left when there are no more lines: a last statement may go without its semicolon.
    pub(super) fn finish(&mut self) -> Option<String> {
        self.within = Within::Nothing;
        self.take()
    }

    /// Whether a statement has begun.
    pub(super) fn is_open(&self) -> bool {
        !self.text.trim().is_empty()
    }

    fn take(&mut self) -> Option<String> {
        let statement = std::mem::take(&mut self.text);
        let statement = statement.trim();
        (!statement.trim_matches(';').trim().is_empty()).then(|| statement.to_owned())
    }

    /// How many bytes belong together from here on, and what follows is within.
    fn step(&mut self, rest: &str, letter: char) -> usize {
        match &mut self.within {
            Within::Nothing if rest.starts_with("--") => return rest.len(),
            Within::Nothing if rest.starts_with("/*") => {
                self.within = Within::Comment(1);
                return 2;
            }
            Within::Nothing if letter == '\'' || letter == '"' => self.within = Within::Quotes(letter),
            Within::Nothing if letter == '$' => {
                let after_word = self.text.ends_with(|before: char| before.is_alphanumeric() || before == '_');
                if let Some(tag) = dollar_tag(rest).filter(|_| !after_word) {
                    self.within = Within::Dollars(tag.to_owned());
                    return tag.len();
                }
            }
            Within::Nothing => {}
            Within::Quotes(quote) if *quote == letter => self.within = Within::Nothing,
            Within::Dollars(tag) if rest.starts_with(tag.as_str()) => {
                let bytes = tag.len();
                self.within = Within::Nothing;
                return bytes;
            }
            Within::Comment(depth) if rest.starts_with("*/") => {
                *depth -= 1;
                if *depth == 0 {
                    self.within = Within::Nothing;
                }
                return 2;
            }
            Within::Comment(depth) if rest.starts_with("/*") => {
                *depth += 1;
                return 2;
            }
            Within::Quotes(_) | Within::Dollars(_) | Within::Comment(_) => {}
        }
        letter.len_utf8()
    }
}

/// `$$` or `$tag$` at the beginning of the text; `$1` is a parameter.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = 1 + text[1..].find('$')?;
    let tag = &text[1..end];
    let word = tag.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (word && !tag.starts_with(|letter: char| letter.is_ascii_digit())).then(|| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut statements: Vec<_> = text.lines().flat_map(|line| splitter.push(line)).collect();
        statements.extend(splitter.finish());
        statements
    }

    #[test]
    fn statements_end_at_semicolons() {
        assert_eq!(split("SELECT 1; SELECT\n  2;\nSELECT 3"), ["SELECT 1;", "SELECT\n  2;", "SELECT 3"]);
        assert_eq!(split(";;\n \n"), Vec::<String>::new());
    }

    #[test]
    fn quoted_and_commented_semicolons_do_not_count() {
        assert_eq!(split("SELECT 'a;''b', \"c;d\"; SELECT 2;"), ["SELECT 'a;''b', \"c;d\";", "SELECT 2;"]);
        assert_eq!(split("SELECT 1 -- one; two\n;"), ["SELECT 1 -- one; two\n;"]);
        assert_eq!(split("SELECT /* ; /* ; */ ; */ 1;"), ["SELECT /* ; /* ; */ ; */ 1;"]);
        assert_eq!(split("SELECT $q$a;$$;$q$;"), ["SELECT $q$a;$$;$q$;"]);
        assert_eq!(split("SELECT $1; SELECT $2;"), ["SELECT $1;", "SELECT $2;"]);
        assert_eq!(split("INSERT INTO t VALUES ('a\n;b');"), ["INSERT INTO t VALUES ('a\n;b');"]);
    }

    #[test]
    fn it_is_open_in_the_middle_of_a_statement() {
        let mut splitter = Splitter::default();
        splitter.push("SELECT");
        assert!(splitter.is_open());
        splitter.push("1;");
        assert!(!splitter.is_open());
    }
}
