//! Rust source as words and signs: comments, strings and numbers' contents are of no interest here.

/// A piece of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// `::`
    PathSep,
    /// Any other sign.
    Sign(char),
}

/// All tokens of a text, each with its line, counted from 1.
pub(crate) fn tokens(text: &str) -> Vec<(Token, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    let (mut out, mut at, mut line) = (Vec::new(), 0, 1);
    let starts = |at: usize, sign: &str| sign.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    while let Some(&c) = chars.get(at) {
        let began = at;
        at = match c {
            '/' if starts(at, "//") => (at..chars.len()).find(|at| chars[*at] == '\n').unwrap_or(chars.len()),
            '/' if starts(at, "/*") => after_block_comment(&chars, at),
            '"' => after_string(&chars, at + 1),
            'r' | 'b' | 'c' if prefixed_string(&chars, at).is_some() => prefixed_string(&chars, at).unwrap_or(at + 1),
            // A character ends with a quote after one character or an escape; a lifetime does not.
            '\'' if starts(at + 1, "\\") => (at + 3..chars.len()).find(|at| chars[*at] == '\'').unwrap_or(at) + 1,
            '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
            ':' if starts(at, "::") => {
                out.push((Token::PathSep, line));
                at + 2
            }
            c if is_word(&c) => {
                let end = (at..chars.len()).find(|at| !is_word(&chars[*at])).unwrap_or(chars.len());
                out.push((Token::Word(chars[at..end].iter().collect()), line));
                end
            }
            c => {
                if !c.is_whitespace() {
                    out.push((Token::Sign(c), line));
                }
                at + 1
            }
        };
        line += chars[began..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    out
}

fn after_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where a string ends whose first quote is before `at`.
fn after_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where a raw or a byte string that starts here ends; none if none does.
fn prefixed_string(chars: &[char], start: usize) -> Option<usize> {
    let mut at = start;
    while matches!(chars.get(at), Some('r' | 'b' | 'c')) && at < start + 2 {
        at += 1;
    }
    let raw = chars[start..at].contains(&'r');
    let hashes = if raw { chars[at..].iter().take_while(|c| **c == '#').count() } else { 0 };
    if chars.get(at + hashes) != Some(&'"')
        || (start > 0 && (chars[start - 1].is_alphanumeric() || chars[start - 1] == '_'))
    {
        return None;
    }
    if !raw {
        return Some(after_string(chars, at + 1));
    }
    let end = |from: usize| chars[from] == '"' && (1..=hashes).all(|n| chars.get(from + n) == Some(&'#'));
    let quote = (at + hashes + 1..chars.len()).find(|from| end(*from))?;
    Some(quote + 1 + hashes)
}

/// Takes out what is compiled for tests alone; also the names of modules in other files that are.
pub(crate) fn without_tests(tokens: Vec<(Token, usize)>) -> (Vec<(Token, usize)>, Vec<String>) {
    let word = |at: usize, text: &str| matches!(tokens.get(at), Some((Token::Word(word), _)) if word == text);
    let sign = |at: usize, sign: char| matches!(tokens.get(at), Some((Token::Sign(c), _)) if *c == sign);
    let (mut out, mut modules, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        let is_test = sign(at, '#')
            && sign(at + 1, '[')
            && word(at + 2, "cfg")
            && sign(at + 3, '(')
            && word(at + 4, "test")
            && sign(at + 5, ')')
            && sign(at + 6, ']');
        if !is_test {
            out.push(tokens[at].clone());
            at += 1;
            continue;
        }
        // To the end of the item: a semicolon, or the brace that closes its body.
        let (mut depth, mut end) = (0, at + 7);
        while end < tokens.len() {
            if word(end, "mod") && depth == 0 && sign(end + 2, ';') {
                modules.extend(match &tokens[end + 1].0 {
                    Token::Word(name) => Some(name.clone()),
                    _ => None,
                });
            }
            match tokens[end].0 {
                Token::Sign('{' | '(' | '[') => depth += 1,
                Token::Sign(')' | ']') => depth -= 1,
                Token::Sign('}') => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                Token::Sign(';') if depth == 0 => break,
                _ => {}
            }
            end += 1;
        }
        at = end + 1;
    }
    (out, modules)
}
