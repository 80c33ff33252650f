use std::error::Error;

use http::StatusCode;
use opendal::ErrorKind;

/// How much of a service's answer is shown, in characters.
const MESSAGE_MAX: usize = 300;

/// What a service or the network reported of a failed request, and what to do about it. What OpenDAL knows of the request
/// and the answer besides is left out: addresses and headers may hold credentials.
///
/// `refusal` is the status of the answer, if that refuses the request.
pub(super) fn describe(error: &opendal::Error, refusal: Option<StatusCode>, location: &str) -> String {
    let message = code_and_message(error.message()).unwrap_or_else(|| error.message().to_owned());
    let mut text: String = without_signatures(&message).chars().take(MESSAGE_MAX).collect();
    // The last one is the operating system's or the protocol's; those between may quote addresses.
    let mut source = error.source();
    while let Some(deeper) = source.and_then(Error::source) {
        source = Some(deeper);
    }
    if let Some(source) = source.map(ToString::to_string).filter(|source| *source != text) {
        text = if text.is_empty() { source } else { format!("{text}: {source}") };
    }
    if let Some(status) = refusal {
        text = if text.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {text}") };
    }
    let advice = advice(error.kind(), &text, location);
    if text.is_empty() || advice.is_empty() { text + advice } else { format!("{text}; {advice}") }
}

/// An answer that may quote the address of the request, in which Azure's shared access signatures are.
fn without_signatures(answer: &str) -> String {
    let mut parts = answer.split("sig=");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_of_signature = |c: char| c.is_ascii_alphanumeric() || "%+/=-_.~".contains(c);
        text += "sig=<hidden>";
        text += part.trim_start_matches(is_of_signature);
    }
    text
}

/// The code and the message of an answer that OpenDAL prints as the struct that it has read it into, such as
/// `S3Error { code: "…", message: "…", … }`.
fn code_and_message(printed: &str) -> Option<String> {
    let (name, fields) = printed.split_once(" { ")?;
    if !["S3Error", "AzblobError", "GcsErrorResponse"].contains(&name) {
        return None;
    }
    let quoted = ["code", "message"].into_iter().filter_map(|field| quoted(fields, field));
    let parts: Vec<_> = quoted.filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(": ").trim_end_matches('.').to_owned())
}

/// The value of the first field of this name that is a string, on one line.
fn quoted(fields: &str, field: &str) -> Option<String> {
    let (_, rest) = fields.split_once(&format!("{field}: \""))?;
    let (mut value, mut chars) = (String::new(), rest.chars());
    loop {
        match chars.next()? {
            '"' => return Some(value),
            '\\' => match chars.next()? {
                'n' | 'r' | 't' => value.push(' '),
                escaped => value.push(escaped),
            },
            plain => value.push(plain),
        }
    }
}

/// Where each service's credentials may be set.
const CREDENTIALS: [(&str, &str); 3] = [
    ("s3://", "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
    ("gs://", "no credentials were found: set GOOGLE_APPLICATION_CREDENTIALS to the file that holds them"),
    ("az://", "no credentials were found: set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN"),
];

/// Whether an answer says that the credentials are wrong, and not that they do not allow something.
pub(super) fn is_about_credentials(answer: &str) -> bool {
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"]
        .iter()
        .any(|code| answer.contains(code))
}

/// What helps, by what a service calls the error, else by OpenDAL's kind.
fn advice(kind: ErrorKind, text: &str, location: &str) -> &'static str {
    if text.contains("signing credential") {
        let service = CREDENTIALS.iter().find(|(scheme, _)| location.starts_with(scheme));
        return service.map_or("no credentials were found", |(_, advice)| advice);
    }
    let by_text = [
        ("NoSuchBucket", "make the bucket first: none is ever made here"),
        ("ContainerNotFound", "make the container first: none is ever made here"),
        ("RequestTimeTooSkewed", "set the clock of this machine right"),
        ("ExpiredToken", "the session has ended: get new credentials"),
        ("TokenRefreshRequired", "the session has ended: get new credentials"),
        ("PermanentRedirect", "the bucket is in another region: say so with the setting 'region'"),
        ("AuthorizationHeaderMalformed", "the bucket is in another region: say so with the setting 'region'"),
        ("IllegalLocationConstraint", "the bucket is in another region: say so with the setting 'region'"),
        ("UnknownIssuer", "its certificate is of no authority that this system trusts"),
        ("SignatureDoesNotMatch", "the secret key does not belong to the key id"),
        ("InvalidAccessKeyId", "the service does not know the key id"),
    ];
    if let Some((_, advice)) = by_text.iter().find(|(code, _)| text.contains(code)) {
        return advice;
    }
    match kind {
        ErrorKind::PermissionDenied => "see that the credentials are right and allow this",
        ErrorKind::ConfigInvalid => "see that the bucket exists and the location is spelled right",
        ErrorKind::NotFound => "see that the bucket exists: none is ever made here",
        ErrorKind::RateLimited => "ask less often, or raise the limit there",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use super::*;

    fn check(error: opendal::Error, expected: &str) {
        let error = error.with_context("uri", "http://host/?signature=secret").with_operation("write");
        assert_eq!(describe(&error, None, "s3://b"), expected);
    }

    #[test]
    fn each_kind_is_described_without_addresses() {
        let error = |kind| opendal::Error::new(kind, "no");
        check(error(ErrorKind::Unexpected), "no");
        check(error(ErrorKind::PermissionDenied), "no; see that the credentials are right and allow this");
        check(error(ErrorKind::ConfigInvalid), "no; see that the bucket exists and the location is spelled right");
        check(error(ErrorKind::NotFound), "no; see that the bucket exists: none is ever made here");
        check(error(ErrorKind::RateLimited), "no; ask less often, or raise the limit there");
        check(opendal::Error::new(ErrorKind::Unexpected, ""), "");
        let silent = opendal::Error::new(ErrorKind::Unexpected, "");
        assert_eq!(describe(&silent, Some(StatusCode::BAD_GATEWAY), "s3://b"), "HTTP 502 Bad Gateway");
    }

    #[test]
    fn answers_are_described_by_their_code_and_message() {
        let s3 = r#"S3Error { code: "RequestTimeTooSkewed", message: "The \"time\"\nis off", resource: "/b", request_id: "1" }"#;
        let error = opendal::Error::new(ErrorKind::PermissionDenied, s3);
        let expected =
            "HTTP 403 Forbidden: RequestTimeTooSkewed: The \"time\" is off; set the clock of this machine right";
        assert_eq!(describe(&error, Some(StatusCode::FORBIDDEN), "s3://b"), expected);
        let check = |printed: &str, expected: Option<&str>| {
            assert_eq!(code_and_message(printed).as_deref(), expected, "{printed}");
        };
        check(r#"AzblobError { code: "AuthorizationFailure", message: "" }"#, Some("AuthorizationFailure"));
        let detail = r#"errors: [GcsErrorDetail { domain: "global", message: "other", reason: "notFound" }] } }"#;
        check(&format!("GcsErrorResponse {{ error: GcsError {{ code: 404, message: \"gone\", {detail}"), Some("gone"));
        check(r#"S3Error { code: "", message: "", resource: "", request_id: "" }"#, None);
        check(r#"S3Error { code: "cut"#, None);
        check("<Error><Code>NoSuchKey</Code></Error>", None);
    }

    #[test]
    fn signatures_in_answers_are_hidden() {
        let check = |answer: &str, expected: &str| assert_eq!(without_signatures(answer), expected);
        check("cannot get /c/p?sv=1&sig=a%2Fb%3D&sp=r: gone", "cannot get /c/p?sv=1&sig=<hidden>&sp=r: gone");
        check("sig=a+b= and sig=", "sig=<hidden> and sig=<hidden>");
        check("a signature", "a signature");
    }

    #[test]
    fn absent_credentials_are_described_by_the_variables_to_set() {
        for (location, variable) in [
            ("s3://b", "AWS_ACCESS_KEY_ID"),
            ("gs://b", "GOOGLE_APPLICATION_CREDENTIALS"),
            ("az://c", "AZURE_STORAGE_ACCOUNT_KEY"),
            ("oss://b", "no credentials were found"),
        ] {
            let absent = opendal::Error::new(ErrorKind::Unexpected, "failed to load signing credential");
            assert!(describe(&absent, None, location).contains(variable), "{location}");
        }
    }

    #[test]
    fn the_first_cause_is_described_and_long_answers_are_cut() {
        let refused = io::Error::other("Connection refused");
        let sent = io::Error::other(Quoting(refused));
        check(
            opendal::Error::new(ErrorKind::Unexpected, "send the request").set_source(sent),
            "send the request: Connection refused",
        );
        let long = opendal::Error::new(ErrorKind::Unexpected, "é".repeat(1000));
        check(long, &"é".repeat(300));
    }

    #[derive(Debug)]
    struct Quoting(io::Error);

    impl fmt::Display for Quoting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("for http://host/?signature=secret")
        }
    }

    impl Error for Quoting {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
}
