//! Roles, and which of them a request needs.
//!
//! Paths are told apart by their segments as they were sent, without decoding: a path that is written in an unusual way
//! is one of "everything else", which needs the most.

use std::fmt;
use std::str::FromStr;

use axum::http::Method;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// To look: status, metrics, comparisons.
    Read,
    /// To ask for predictions, and to say what came of them.
    Predict,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Read, Role::Predict, Role::Admin];

    /// Its word in files, flags and answers.
    pub fn label(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Predict => "predict",
            Role::Admin => "admin",
        }
    }

    /// Whether a token of this role will do where that one is needed.
    pub fn covers(self, needed: Role) -> bool {
        self == needed || self == Role::Admin
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.label())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use read, predict or admin")]
pub struct NoRole;

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Role, NoRole> {
        let found = Role::ALL.into_iter().find(|role| role.label() == text);
        found.ok_or(NoRole)
    }
}

/// Probes look here and carry no token; webhooks are signed. The pages show nothing by themselves: their scripts ask with
/// the token that they were given.
const OPEN: &[(&[Method], &str)] = &[
    (LOOKING, ""),
    (LOOKING, "/assets/{}"),
    (LOOKING, "/docs"),
    (LOOKING, "/openapi.json"),
    (LOOKING, "/ping"),
    (LOOKING, "/health"),
    (LOOKING, "/health/live"),
    (LOOKING, "/health/ready"),
    (&[Method::POST], "/api/registry/webhook"),
];

/// What is posted here asks for predictions or tells of them; `{}` is one segment.
const PREDICTING: &[&str] = &[
    "/invocations",
    "/models/{}/invocations",
    "/predict",
    "/models/{}/predict",
    "/api/mlflow/serving/models/{}/predict",
    "/api/feedback",
];

const LOOKING: &[Method] = &[Method::GET, Method::HEAD];

/// The role that a request needs, if it needs any: what looks needs to read, and what is not known needs the most.
pub fn needed(method: &Method, path: &str) -> Option<Role> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let open = OPEN
        .iter()
        .any(|(methods, open)| methods.contains(method) && matches(open, path));
    if open {
        None
    } else if method == Method::POST && PREDICTING.iter().any(|pattern| matches(pattern, path)) {
        Some(Role::Predict)
    } else if LOOKING.contains(method) || method == Method::OPTIONS {
        Some(Role::Read)
    } else {
        Some(Role::Admin)
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), segments.next()) {
            (None, None) => return true,
            (Some("{}"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_needs_the_most() {
        let post = |path| needed(&Method::POST, path);
        assert_eq!(post("/invocations"), Some(Role::Predict));
        assert_eq!(post("/invocations/"), Some(Role::Predict));
        assert_eq!(post("/models/a/invocations"), Some(Role::Predict));
        assert_eq!(post("/models//invocations"), Some(Role::Admin));
        assert_eq!(post("/models/a/b/invocations"), Some(Role::Admin));
        assert_eq!(post("/api/reload"), Some(Role::Admin));
        assert_eq!(post("/%69nvocations"), Some(Role::Admin));
        assert_eq!(post("/ping"), Some(Role::Admin));
        assert_eq!(post("/api/registry/webhook"), None);
        assert_eq!(needed(&Method::GET, "/ping"), None);
        assert_eq!(needed(&Method::GET, "/"), None);
        assert_eq!(needed(&Method::GET, "/assets/script.js"), None);
        assert_eq!(post("/"), Some(Role::Admin));
        assert_eq!(needed(&Method::GET, "/invocations"), Some(Role::Read));
        assert_eq!(needed(&Method::GET, "/api/registry/webhook"), Some(Role::Read));
        assert_eq!(needed(&Method::DELETE, "/api/models/a/pin"), Some(Role::Admin));
        assert_eq!(needed(&Method::PUT, "/invocations"), Some(Role::Admin));
    }

    #[test]
    fn an_admin_may_do_everything_and_others_their_own() {
        for has in Role::ALL {
            for wanted in Role::ALL {
                assert_eq!(has.covers(wanted), has == wanted || has == Role::Admin);
            }
            assert_eq!(has.label().parse(), Ok(has));
        }
        assert_eq!("Admin".parse::<Role>(), Err(NoRole));
    }
}
