//! Files: their bytes as they come, from any offset on.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::Response;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, RANGE};
use url::Url;

use super::error::from_reqwest;
use super::{Client, ClientError, Failure, MAX_ERROR, address, answer, asked_wait};

/// A file on its way.
pub struct Download {
    /// Where the bytes begin in the file; 0 when the server does not know ranges.
    pub offset: u64,
    /// Length of the whole file in bytes, when the server says it.
    pub total: Option<u64>,
    /// Tells whether two answers are of the same file.
    pub etag: Option<String>,
    /// The bytes. An error ends them; they are as long as the server makes them.
    pub bytes: BoxStream<'static, Result<Bytes, ClientError>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Download {
            offset, total, etag, ..
        } = self;
        write!(
            out,
            "Download {{ offset: {offset}, total: {total:?}, etag: {etag:?} }}"
        )
    }
}

impl Client {
    /// Begins to fetch a file from an offset on. With `auth` we say who we are, when the address is of the server's own
    /// origin; presigned addresses want it without. Retried until the head of the answer is there; the bytes are not.
    ///
    /// An offset at or behind the end is answered with status 416 by most servers.
    ///
    /// # Errors
    /// See [`ClientError`]; after the retries.
    pub async fn download(&self, url: &Url, offset: u64, auth: bool) -> Result<Download, ClientError> {
        let shared = &*self.shared;
        let server = address::shown(url);
        let auth = auth && url.origin() == shared.base.origin();
        self.retried(|| async {
            // What is compressed on its way has other offsets.
            let mut request = shared.http.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if offset > 0 {
                request = request.header(RANGE, format!("bytes={offset}-"));
            }
            if auth {
                request = request.headers(shared.headers.clone());
            }
            let sent = request.send().await;
            let response = sent.map_err(|error| from_reqwest(error, &server, shared.timeout))?;
            if auth {
                return shared.succeeded(response).await;
            }
            store_succeeded(response, &server, shared).await
        })
        .await
        .map(|response| self.begun(response, server.clone()))
    }

    fn begun(&self, response: Response, server: String) -> Download {
        let range = range(response.headers());
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let (offset, total) = range.unwrap_or((0, response.content_length()));
        let timeout = self.shared.timeout;
        Download {
            offset,
            total,
            etag,
            bytes: response
                .bytes_stream()
                .map_err(move |error| from_reqwest(error, &server, timeout))
                .boxed(),
        }
    }
}

/// The response of a store that is no MLflow server, when its status is a success.
async fn store_succeeded(
    response: Response,
    server: &str,
    shared: &super::Shared,
) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let asked = asked_wait(&response);
    let (body, _) = shared.body(response, MAX_ERROR).await.unwrap_or_default();
    Err(Failure {
        error: answer::store_failure(server.to_owned(), status.as_u16(), &body),
        asked,
    })
}

/// Where the bytes begin and how long the file is, from `Content-Range: bytes 5-9/10`. Absent, they are the whole file.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let header = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, wanted) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_static(text))]);
            assert_eq!(range(&headers), wanted, "{text}");
        }
        assert_eq!(range(&HeaderMap::new()), None);
    }
}
