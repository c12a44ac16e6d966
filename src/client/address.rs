//! The address of a server: read, joined with paths, and shown without what is secret.

use percent_encoding::percent_decode_str;
use url::Url;

use super::{ClientError, Credentials};

/// An address that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Address {
    /// Without user, password, query and fragment.
    pub(super) base: Url,
    /// Who the address says we are.
    pub(super) credentials: Option<Credentials>,
}

/// Reads the address of a server.
///
/// # Errors
/// When it is no `http://` or `https://` address, or has a query or a fragment. The error shows no password.
pub(super) fn parse(text: &str) -> Result<Address, ClientError> {
    let refused = |problem: &str| {
        ClientError::Settings(format!(
            "`{}` is no address of an MLflow server: {problem}; write http(s)://HOST[:PORT][/STATIC-PREFIX]",
            redacted(text)
        ))
    };
    let mut base = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(refused("the scheme is not http or https"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(refused("it has a query or a fragment"));
    }
    let credentials = credentials(&base);
    // An http address always has a host, so that both always succeed.
    let _ = base.set_username("");
    let _ = base.set_password(None);
    Ok(Address { base, credentials })
}

/// Who an address says we are.
pub(super) fn credentials(url: &Url) -> Option<Credentials> {
    match (url.username(), url.password()) {
        ("", None) => None,
        (user, password) => Some(Credentials::Basic {
            user: decoded(user),
            password: decoded(password.unwrap_or_default()),
        }),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The base with further segments; each is percent-encoded, whatever it holds.
pub(super) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
        segments.extend(path.split('/').filter(|segment| !segment.is_empty()));
    }
    url
}

/// For people: no user, no password, no query (where presigned addresses keep their signature), no closing slash.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// A text that should be an address, without what would be secret in one.
pub(super) fn redacted(text: &str) -> String {
    if let Ok(url) = Url::parse(text)
        && url.has_host()
    {
        return shown(&url);
    }
    let (scheme, rest) = text
        .split_once("://")
        .map_or(("", text), |(scheme, rest)| (scheme, rest));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match scheme {
        "" => rest.to_owned(),
        scheme => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join_below_a_static_prefix_and_are_encoded_by_segment() {
        for (base, path, wanted) in [
            ("http://h:5000", "api/2.0/x", "http://h:5000/api/2.0/x"),
            ("http://h:5000/", "/api/x", "http://h:5000/api/x"),
            ("https://h/prefix", "api/x", "https://h/prefix/api/x"),
            ("https://h/a/b/", "api/x", "https://h/a/b/api/x"),
            (
                "http://h",
                "a b/ü/100%/q?r#s",
                "http://h/a%20b/%C3%BC/100%25/q%3Fr%23s",
            ),
            ("http://h", "a%2Fb", "http://h/a%252Fb"),
        ] {
            let base = parse(base).unwrap().base;
            assert_eq!(join(&base, path).as_str(), wanted);
        }
    }

    #[test]
    fn a_user_in_the_address_is_taken_out_of_it() {
        let address = parse("http://m%40x:p%3Aw@host:5000/x").unwrap();
        assert_eq!(shown(&address.base), "http://host:5000/x");
        let wanted = Credentials::Basic {
            user: "m@x".into(),
            password: "p:w".into(),
        };
        assert_eq!(address.credentials, Some(wanted));
        assert_eq!(parse("http://host").unwrap().credentials, None);
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_secrets() {
        for text in [
            "ftp://me:hidden@host",
            "http://me:hidden@",
            "http://me:hidden@host:port",
            "http://host/?token=hidden",
            "me:hidden@host",
            "",
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(!message.contains("hidden"), "{message}");
            assert!(message.contains("no address of an MLflow server"), "{message}");
        }
    }

    #[test]
    fn a_signature_is_not_shown() {
        let url = Url::parse("https://me:hidden@bucket/key?X-Amz-Signature=hidden").unwrap();
        assert_eq!(shown(&url), "https://bucket/key");
    }
}
