//! The trace that a question to a server is a part of: that of the request which has it asked.

use reqwest::header::HeaderMap;

tokio::task_local! {
    static HEADERS: HeaderMap;
}

/// Does work whose questions to MLflow servers carry these headers, `traceparent` and its like. What the work has other tasks
/// do is not a part of it.
pub async fn within_trace<F: Future>(headers: HeaderMap, work: F) -> F::Output {
    HEADERS.scope(headers, work).await
}

/// The headers of the work that is done; none outside of any.
pub(super) fn headers() -> HeaderMap {
    HEADERS.try_with(Clone::clone).unwrap_or_default()
}
