//! `POST /invocations` and `POST /models/{name}/invocations`: decode, predict, encode, with one snapshot of the deployment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response};
use bytes::Bytes;
use hyper::body::Body as AnyBody;
use smallvec::SmallVec;

use super::answer::Payload;
use super::asked::Asked;
use super::body::BodyError;
use super::compression::{Coded, Wish};
use super::events::{Failed, note_failure};
use super::request_id::{REQUEST_ID, request_id, taken_over};
use super::{App, answer, body, encoding, patience, unrouted};
use crate::deploy::deployment::RequestStage;
use crate::protocol;
use crate::serve::call::Call;
use crate::serve::endpoint::{Head, reject};
use crate::serve::error::{Error, Kind};

/// Bodies from this many bytes on are decoded, and answers of this many rows on encoded, with the worker's other
/// tasks handed to another thread first: below, that costs more than it spares them.
pub(super) const LARGE_BODY: usize = 64 << 10;
const LARGE_ANSWER_ROWS: usize = 1_000;
/// Room for the answer of a few rows, which is made at once: a guess by what is in an answer takes longer to allocate.
const SMALL_ANSWER: usize = 256;

/// `POST /invocations`: the only slot, or the default one.
pub(super) async fn invocations(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let answer = answer_to(&app, None, &head.headers, &mut body).await;
    answer.map(Payload::into_body)
}

/// `POST /models/{name}/invocations`.
pub(super) async fn named(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let answer = answer_to(&app, Some(&name), &head.headers, &mut body).await;
    answer.map(Payload::into_body)
}

/// The same for a path that either of them answers, without a router.
pub(super) async fn direct<B>(app: &App, head: &Parts, body: &mut B) -> Response<Payload>
where
    B: AnyBody<Data = Bytes> + Unpin,
{
    answer_to(app, plain_name(head.uri.path()), &head.headers, body).await
}

/// The name in `/models/{name}/invocations`, where it is written without escapes.
pub(super) fn plain_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/models/")?.strip_suffix("/invocations")?;
    (!name.is_empty() && !name.contains(['/', '%'])).then_some(name)
}

/// Takes the request by reference: the futures it is handed on to would each have a copy of it.
async fn answer_to<B>(app: &App, slot: Option<&str>, headers: &HeaderMap, body: &mut B) -> Response<Payload>
where
    B: AnyBody<Data = Bytes> + Unpin,
{
    let began = Instant::now();
    let asked = Asked::of(headers);
    let path = match slot {
        None => "/invocations",
        Some(_) => "/models/{name}/invocations",
    };
    let mut begun = begin(app, slot, path, began, headers, &asked);
    let id = identify(&mut begun, &asked);
    let mut response = match begun {
        Ok(mut call) => {
            let mut response = match predict(app, &mut call, headers, &asked, body).await {
                Ok(encoded) => return answer::predictions(encoded, &call, &asked, id),
                Err(Failure::Answered(error)) => {
                    explain(&error, &call, &id, &asked);
                    answer::failure(&error)
                }
                Err(Failure::UnreadCoding(error)) => {
                    explain(&error, &call, &id, &asked);
                    answer::unread_coding(&error)
                }
                Err(Failure::Slow) => unrouted::request_timeout(),
            };
            answer::sign(&mut response, &call);
            note_status(&mut call, &response);
            response
        }
        Err(error) => {
            note_failure(&error, Failed::Before(slot), &id);
            answer::failure(&error)
        }
    };
    response.headers_mut().insert(REQUEST_ID, id);
    response.map(Payload::Any)
}

/// Notes the status of an answer without predictions, where the request is traced.
pub(super) fn note_status(call: &mut Call, response: &Response<Body>) {
    if let Some(draft) = call.draft() {
        draft.note_status(response.status().as_u16());
    }
}

/// Begins a request for predictions.
pub(super) fn begin(
    app: &App,
    slot: Option<&str>,
    path: &'static str,
    began: Instant,
    headers: &HeaderMap,
    asked: &Asked<'_>,
) -> Result<Call, Error> {
    let patience = patience::patience(asked.patience).inspect_err(reject)?;
    app.endpoint.begin(Head {
        name: slot,
        now: began,
        patience,
        headers,
        asks_for_variant: asked.variant,
        trace: asked.trace,
        path,
    })
}

/// By which id a request goes that was begun. Notes who asks, where predictions are recorded: where the call lies, for it is
/// long.
pub(super) fn identify(begun: &mut Result<Call, Error>, asked: &Asked<'_>) -> HeaderValue {
    let sent = taken_over(asked.id);
    let prediction = begun.as_ref().ok().and_then(Call::prediction_id);
    let id = request_id(sent, prediction);
    if let Some(draft) = begun.as_mut().ok().and_then(Call::draft) {
        let own = sent.is_some() || prediction.is_none();
        let key = || {
            asked
                .key
                .map(|key| String::from_utf8_lossy(key.as_bytes()).into())
        };
        draft.note_request(|| own.then(|| SmallVec::from_slice(id.as_bytes())), key);
    }
    id
}

/// How a request ends without predictions.
enum Failure {
    Answered(Error),
    /// The body has a content coding that is not read.
    UnreadCoding(Error),
    Slow,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Answered(error)
    }
}

async fn predict<B>(
    app: &App,
    call: &mut Call,
    headers: &HeaderMap,
    asked: &Asked<'_>,
    body: &mut B,
) -> Result<Coded, Failure>
where
    B: AnyBody<Data = Bytes> + Unpin,
{
    // Read, or thrown away, before anything is refused: an answer to a client that is still sending may never be heard.
    let config = &app.config;
    let (limit, patience) = (config.max_body_bytes, config.client_timeout);
    let announced = body.size_hint().exact();
    let read = match announced.is_some_and(|length| length < LARGE_BODY as u64) {
        true => body::read(body, limit, patience).await,
        // Apart, so that the future of the others is no larger for it.
        false => Box::pin(app.intake.read(call, body, limit, patience)).await,
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(BodyError::Refused(error)) => {
            // Failed first, which gives the permit back: nobody else shall wait for the rest of this body.
            let error = call.fail(error);
            body::linger(body).await;
            return Err(error.into());
        }
        // To a client that left, the answer goes nowhere.
        Err(BodyError::Slow | BodyError::Broken) => return Err(Failure::Slow),
    };
    call.note_received(bytes.len());
    let desk = match bytes.len() < LARGE_BODY {
        true => call.refuse_early(Duration::ZERO, 0).map(|()| None),
        false => Box::pin(app.intake.desk(call)).await.map(Some),
    }?;
    let codings = match asked.coded {
        false => encoding::Codings::new(),
        true => encoding::applied(headers)
            .map_err(|error| Failure::UnreadCoding(call.fail(body::not_expanded(&error))))?,
    };
    let content_type = asked.content_type.map(HeaderValue::as_bytes);
    let media = protocol::media(content_type).map_err(|error| call.fail(error))?;
    let codec = app.codecs.of(media);
    let limits = app.config.limits;
    let decoded = call.stage(RequestStage::Decode, |deployment| {
        let bytes = encoding::expand(bytes, &codings, config.max_body_bytes, LARGE_BODY, |work| {
            aside(true, work)
        })
        .map_err(|error| body::not_expanded(&error))?;
        aside(bytes.len() >= LARGE_BODY, || {
            codec.decode(&bytes, deployment.signature(), limits)
        })
    })?;
    drop(desk);
    let reply = decoded.reply;
    let output = call.predict(decoded.batch).await?;
    let wish = asked.wishes.then(|| Wish::of(headers)).flatten();
    let encoded = aside(output.rows() >= LARGE_ANSWER_ROWS, || {
        call.stage(RequestStage::Encode, |_| {
            let mut out = Vec::with_capacity(SMALL_ANSWER);
            codec.encode(&output, reply, &mut out)?;
            Ok(match wish {
                Some(wish) => aside(out.len() >= LARGE_BODY, || wish.grant(out)),
                None => Coded::plain(out),
            })
        })
    })?;
    if let Some(draft) = call.draft() {
        draft.note_sent(encoded.body.len());
    }
    call.keep(output);
    call.finish();
    Ok(encoded)
}

/// Runs long work without holding up the worker's other tasks.
pub(super) fn aside<T>(long: bool, work: impl FnOnce() -> T) -> T {
    if long {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Logs what the client cannot mend at a level a human sees, the rest for debugging only.
pub(super) fn explain(error: &Error, call: &Call, id: &HeaderValue, asked: &Asked<'_>) {
    note_failure(error, Failed::Within(call.deployment()), id);
    let (version, id) = (call.deployment().id(), id.to_str().unwrap_or_default());
    let trace_id = asked.trace().map(tracing::field::display);
    match error.kind() {
        Kind::Internal => {
            tracing::error!(request_id = id, trace_id, %version, kind = error.kind().label(), error = error.message(), "request failed");
        }
        kind => {
            tracing::debug!(request_id = id, trace_id, %version, kind = kind.label(), error = error.message(), "request refused");
        }
    }
}
