use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

/// Texts that no message may show.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

/// What stands in place of a secret.
const HIDDEN: &str = "[hidden]";

/// What is shorter in a query is a version or a switch.
const SHORTEST: usize = 6;

/// How many characters of a server's answer are shown.
const EXCERPT: usize = 300;

impl Secrets {
    pub(super) fn add(&mut self, secret: &str) {
        let in_json = raw_json::Value::String(secret.into()).to_string();
        for form in [secret, in_json.trim_matches('"')] {
            if !form.is_empty() && !self.0.iter().any(|known| known == form) {
                self.0.push(form.to_owned());
            }
        }
        // A secret may be part of another one.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// Adds what a URL has in it: user and password, as written and as they are sent, and the query.
    pub(super) fn add_url(&mut self, url: &Url) {
        let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
        if !user.is_empty() || !password.is_empty() {
            self.add(&STANDARD.encode(format!("{user}:{password}")));
        }
        // A user without a password is a key; with one it is a name.
        let keys =
            if password.is_empty() { [url.username(), &user] } else { [url.password().unwrap_or_default(), &password] };
        keys.iter().for_each(|key| self.add(key));
        self.add(url.query().unwrap_or_default());
        for (_, value) in url.query_pairs().filter(|(_, value)| value.len() >= SHORTEST) {
            self.add(&value);
        }
    }

    /// The text without secrets.
    pub(super) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// The beginning of a server's answer, on one line.
    pub(super) fn excerpt(&self, body: &[u8]) -> String {
        let text = self.hide(&String::from_utf8_lossy(body));
        let mut words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let mut line = words.next().unwrap_or_default().to_owned();
        for word in words {
            if line.len() > 4 * EXCERPT {
                break;
            }
            line.push(' ');
            line.push_str(word);
        }
        match line.char_indices().nth(EXCERPT) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// The URL as it may be shown.
pub(super) fn shown(url: &Url) -> String {
    if url.cannot_be_a_base() {
        // What was meant as a password may be anywhere in it.
        return format!("{}:…", url.scheme());
    }
    let mut shown = url.clone();
    // They fail for URLs without a host, which have no credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

/// The bytes that `%XX` stand for, as text.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_url(url: &str, expected: &str, secrets: &[&str]) {
        let url = Url::parse(url).unwrap();
        assert_eq!(shown(&url), expected);
        let mut hidden = Secrets::default();
        hidden.add_url(&url);
        for secret in secrets {
            assert_eq!(hidden.hide(&format!("a {secret} b")), "a [hidden] b", "{url}");
        }
    }

    #[test]
    fn urls_are_shown_without_what_they_hide() {
        check_url("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1", &[]);
        let basic = STANDARD.encode("me:p@ss");
        check_url("https://me:p%40ss@e.org/v1", "https://e.org/v1", &["p%40ss", "p@ss", &basic]);
        check_url("me:p@ss@e.org:1", "me:…", &[]);
        check_url("https://sk-key@e.org/v1/", "https://e.org/v1/", &["sk-key"]);
        check_url("https://e.org/v1?key=a%20bcdef&v=2#x", "https://e.org/v1", &["a bcdef", "key=a%20bcdef&v=2"]);
    }

    #[test]
    fn secrets_are_hidden_before_texts_are_cut() {
        let mut secrets = Secrets::default();
        secrets.add("sk-1");
        secrets.add("sk-1-2");
        secrets.add("a\"b");
        assert_eq!(secrets.hide("sk-1-2, sk-1, a\"b, a\\\"b"), "[hidden], [hidden], [hidden], [hidden]");
        let body = format!("{}sk-1-2", "é".repeat(EXCERPT - 3));
        assert!(!secrets.excerpt(body.as_bytes()).contains("sk"));
        assert_eq!(secrets.excerpt(b" <html>\n\t<p>\x1b[1mBad\xff </p>"), "<html> <p> [1mBad\u{fffd} </p>");
        assert_eq!(secrets.excerpt("é".repeat(1000).as_bytes()).chars().count(), EXCERPT + 1);
    }
}
