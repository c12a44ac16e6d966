//! Why somebody may not, and what he is answered.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::role::Role;
use crate::http::admin::refusal;
use crate::http::request_id::{self, REQUEST_ID, request_id, taken_over};

/// Why a request is refused by its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no token, and one is needed.
    NoToken,
    /// There is one that nobody has.
    UnknownToken,
    /// It is for something else.
    Role {
        /// The role that is needed.
        needed: Role,
        /// The role of the token.
        has: Role,
    },
    /// Changes over the network, where there are no tokens.
    Closed,
    /// It comes from a page that may not.
    OtherSite,
    /// Its server is called by a name that need not be this machine's.
    OtherName,
    /// There were too many; when there may be another.
    TooMany(Duration),
}

impl Refused {
    /// Label in metrics and logs.
    pub(super) fn label(self) -> &'static str {
        match self {
            Refused::NoToken => "no_token",
            Refused::UnknownToken => "unknown_token",
            Refused::Role { .. } => "role",
            Refused::Closed => "closed",
            Refused::OtherSite => "other_site",
            Refused::OtherName => "other_name",
            Refused::TooMany(_) => "rate",
        }
    }

    /// The answer.
    pub(super) fn answer(self, asked: &HeaderMap) -> Response<Body> {
        let (status, code, message) = match self {
            Refused::NoToken => (
                StatusCode::UNAUTHORIZED,
                "UNAUTHENTICATED",
                "This needs a token: send `Authorization: Bearer <token>`.".to_owned(),
            ),
            Refused::UnknownToken => (
                StatusCode::UNAUTHORIZED,
                "UNAUTHENTICATED",
                "This server does not know the token that was sent as `Authorization: Bearer <token>`.".to_owned(),
            ),
            Refused::Role { needed, has } => (
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                format!("This needs a token of the role `{needed}`, and the one that was sent has `{has}`."),
            ),
            Refused::Closed => (
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "Changes over the network need a token: start the server with --token-file, --admin-token-file or \
                 MODELSD_ADMIN_TOKEN, and send `Authorization: Bearer <token>`."
                    .to_owned(),
            ),
            Refused::OtherSite => (
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "Requests from pages of another site are refused, but for those of --cors-origin with a token.".to_owned(),
            ),
            Refused::OtherName => (
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "Without tokens, a server on a loopback address answers to `localhost`, IP addresses and its --host only, as a \
                 page of another site could have any other name lead here. Ask it by one of those, start it with \
                 --token-file, or allow the name with --cors-origin http://NAME:PORT."
                    .to_owned(),
            ),
            Refused::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "REQUEST_LIMIT_EXCEEDED",
                "These are more requests a second than the limit of this token, or of those without one. Try again later."
                    .to_owned(),
            ),
        };
        let mut response = refusal(status, code, &message);
        let headers = response.headers_mut();
        // As RFC 6750 has it.
        let challenge = match self {
            Refused::NoToken => Some("Bearer realm=\"modelsd\"".to_owned()),
            Refused::UnknownToken => Some("Bearer realm=\"modelsd\", error=\"invalid_token\"".to_owned()),
            Refused::Role { needed, .. } => Some(format!(
                "Bearer realm=\"modelsd\", error=\"insufficient_scope\", scope=\"{needed}\""
            )),
            Refused::Closed | Refused::OtherSite | Refused::OtherName | Refused::TooMany(_) => None,
        };
        if let Some(Ok(challenge)) = challenge.map(HeaderValue::try_from) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Refused::TooMany(wait) = self {
            // Rounded up: who comes back a moment early is refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        headers.insert(
            REQUEST_ID,
            request_id(taken_over(asked.get(request_id::NAME)), None),
        );
        response
    }
}
