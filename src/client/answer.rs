//! What a status other than success says, from its body.

use serde::Deserialize;

use super::error::line;
use super::{ClientError, Credentials};

/// What the requests of one client have in common, for its errors.
pub(super) struct Asked<'a> {
    /// The address, without what is secret in it.
    pub(super) server: &'a str,
    /// Host and port of it.
    pub(super) host: &'a str,
    /// Who we said we are; `None` when we said nothing.
    pub(super) credentials: Option<&'a Credentials>,
    /// The workspace named.
    pub(super) workspace: Option<&'a str>,
}

#[derive(Deserialize)]
struct Said {
    error_code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Detail {
    detail: String,
}

/// The error for an answer of an MLflow server.
pub(super) fn failure(asked: &Asked<'_>, status: u16, body: &[u8]) -> ClientError {
    let server = asked.server.to_owned();
    let text = String::from_utf8_lossy(body);
    if let Ok(said) = serde_json::from_slice::<Said>(body) {
        let message = line(&said.message);
        return match (said.error_code.as_str(), asked.workspace) {
            ("FEATURE_DISABLED", Some(workspace)) => ClientError::NoWorkspaces {
                server,
                workspace: workspace.to_owned(),
                message,
            },
            _ if status == 401 => unauthorized(asked, &message),
            (code, _) => ClientError::Status {
                server,
                status,
                code: Some(line(code)),
                message,
            },
        };
    }
    let status_error = |message: String| ClientError::Status {
        server: server.clone(),
        status,
        code: None,
        message,
    };
    match status {
        401 => unauthorized(asked, &line(&text)),
        403 if text.contains("Invalid Host header") => ClientError::HostRefused {
            server,
            host: asked.host.to_owned(),
            message: line(&text),
        },
        403 => status_error(format!(
            "{}; does the user have READ permission?",
            line(&text).trim_end_matches('.')
        )),
        _ => match serde_json::from_slice::<Detail>(body) {
            Ok(detail) => status_error(line(&detail.detail)),
            Err(_) if text.trim_start().starts_with('<') => ClientError::NotJson {
                server,
                status,
                start: line(&text).chars().take(60).collect(),
            },
            Err(_) if text.trim().is_empty() => status_error("it says nothing else".into()),
            Err(_) => status_error(line(&text)),
        },
    }
}

fn unauthorized(asked: &Asked<'_>, message: &str) -> ClientError {
    let hint = match asked.credentials {
        None => {
            "it wants credentials; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
             MLFLOW_TRACKING_TOKEN, or write them to ~/.mlflow/credentials"
        }
        Some(Credentials::Basic { .. }) => {
            "it does not take the user and password of MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or of \
             ~/.mlflow/credentials, or of the address)"
        }
        Some(Credentials::Bearer(_)) => {
            "it does not take the token of MLFLOW_TRACKING_TOKEN; MLflow's basic-auth app wants \
             MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        }
    };
    ClientError::Unauthorized {
        server: asked.server.to_owned(),
        message: match message {
            "" => String::new(),
            // The basic-auth app goes on with a link to its documentation.
            said => format!(" (`{}`)", said.split('.').next().unwrap_or_default()),
        },
        hint,
    }
}

/// The error for an answer of a store to a presigned request. Its body may repeat the signature: of it only the name
/// of the error is shown.
pub(super) fn store_failure(server: String, status: u16, body: &[u8]) -> ClientError {
    let text = String::from_utf8_lossy(body);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(code, _)| code)
        .filter(|code| code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric()));
    ClientError::Status {
        server,
        status,
        code: code.map(str::to_owned),
        message: "the store refuses the presigned address".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str, workspace: Option<&str>) -> ClientError {
        let asked = Asked {
            server: "http://mlflow:5000",
            host: "mlflow:5000",
            credentials: None,
            workspace,
        };
        failure(&asked, status, body.as_bytes())
    }

    #[test]
    fn errors_say_what_helps() {
        let html = "<!doctype html>\n<title>404 Not Found</title>";
        let host = "Invalid Host header - possible DNS rebinding attack detected";
        let api = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model with name=x not found"}"#;
        let off = r#"{"error_code": "FEATURE_DISABLED", "message": "no workspaces"}"#;
        for (status, body, workspace, wanted) in [
            (
                403,
                host,
                None,
                "--allowed-hosts or MLFLOW_SERVER_ALLOWED_HOSTS naming `mlflow:5000`",
            ),
            (403, host, None, "possible DNS rebinding attack detected"),
            (
                403,
                "Permission denied",
                None,
                "answers 403: Permission denied; does the user have READ",
            ),
            (
                401,
                "You are not authenticated. See",
                None,
                "(`You are not authenticated`): it wants credentials",
            ),
            (404, html, None, "--static-prefix"),
            (
                404,
                api,
                None,
                "answers 404 RESOURCE_DOES_NOT_EXIST: Registered Model with name=x not found",
            ),
            (500, off, Some("team"), "MLFLOW_WORKSPACE is `team`: unset it"),
            (400, r#"{"detail": "bad path"}"#, None, "answers 400: bad path"),
            (502, "", None, "answers 502: it says nothing else"),
        ] {
            let message = said(status, body, workspace).to_string();
            assert!(message.contains(wanted), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        let code = |code: &str| format!(r#"{{"error_code": "{code}", "message": ""}}"#);
        assert!(said(500, &code("INTERNAL_ERROR"), None).is_transient());
        assert!(said(503, "<html>", None).is_transient());
        assert!(said(429, "", None).is_transient());
        assert!(!said(500, &code("FEATURE_DISABLED"), Some("x")).is_transient());
        assert!(!said(404, &code("RESOURCE_DOES_NOT_EXIST"), None).is_transient());
        assert!(!said(401, "", None).is_transient());
    }

    #[test]
    fn what_a_store_repeats_of_the_signature_is_not_shown() {
        let body =
            "<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>hidden</SignatureProvided></Error>";
        let error = store_failure("https://bucket/key".into(), 403, body.as_bytes());
        let message = error.to_string();
        assert!(message.contains("403 SignatureDoesNotMatch"), "{message}");
        assert!(!message.contains("hidden"), "{message}");
    }

    #[test]
    fn long_answers_are_cut() {
        let message = said(400, &"x\u{7}".repeat(10_000), None).to_string();
        assert!(message.chars().count() < 600 && !message.contains('\u{7}'));
    }
}
