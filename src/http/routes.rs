//! Which handler answers: predictions directly, everything else by way of the router.
//!
//! Before either stands the guard, which sees heads only.
//!
//! The router costs a small prediction a tenth of its own instructions: four futures in boxes, a match of the path, and
//! extensions that nobody reads.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::EXPECT;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::admin::Local;
use super::answer::Payload;
use super::{App, body, invocations, router};

/// All routes, as the listener calls them.
#[derive(Clone)]
pub struct Routes(Arc<Inner>);

struct Inner {
    app: Arc<App>,
    service: TowerToHyperService<Router>,
    /// Whether these are for connections by the file of a socket.
    local: bool,
}

impl Routes {
    /// The routes of this server.
    pub fn new(app: Arc<App>) -> Routes {
        Routes(Arc::new(Inner {
            service: TowerToHyperService::new(router(Arc::clone(&app))),
            app,
            local: false,
        }))
    }

    /// The same for connections by the file of a socket: who can open it is on this machine.
    pub(super) fn local(&self) -> Routes {
        Routes(Arc::new(Inner {
            service: self.0.service.clone(),
            app: Arc::clone(&self.0.app),
            local: true,
        }))
    }

    /// Answers a request for predictions.
    pub(super) async fn predict(&self, head: &Parts, body: &mut Incoming) -> Response<Payload> {
        if self.0.app.guard.is_in_the_way(&head.headers) {
            // In a box: where nobody has to be asked, the future has no room for it.
            return Box::pin(self.predict_for_some(head, body)).await;
        }
        invocations::direct(&self.0.app, head, body).await
    }

    /// The same where not everybody may ask, or pages of other sites may.
    async fn predict_for_some(&self, head: &Parts, body: &mut Incoming) -> Response<Payload> {
        let guard = &self.0.app.guard;
        let origin = guard.origin(&head.headers);
        if let Err(refusal) = guard.admit(&head.method, head.uri.path(), &head.headers, self.0.local) {
            let unsent = head.headers.contains_key(EXPECT);
            return self.refuse(*refusal, origin, (!unsent).then_some(body)).await;
        }
        let mut answer = invocations::direct(&self.0.app, head, body).await;
        guard.sign(origin, &mut answer);
        answer
    }

    /// Answers any request. The future of the router is in a box, so that a connection that only predicts has no room for
    /// it in its own.
    pub(super) async fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Payload>, Infallible> {
        let guard = &self.0.app.guard;
        let (method, path, headers) = (request.method(), request.uri().path(), request.headers());
        if let Some(answer) = guard.preflight(method, headers) {
            return Ok(answer.map(Payload::Any));
        }
        let origin = guard.origin(headers);
        if let Err(refusal) = guard.admit(method, path, headers, self.0.local) {
            let unsent = headers.contains_key(EXPECT);
            let mut body = request.into_body();
            return Ok(Box::pin(self.refuse(*refusal, origin, (!unsent).then_some(&mut body))).await);
        }
        if self.0.local {
            request.extensions_mut().insert(Local);
        }
        let mut answer = Box::pin(self.0.service.call(request)).await?;
        guard.sign(origin, &mut answer);
        Ok(answer.map(Payload::Any))
    }

    /// Gives the answer of the guard, once the body that its client is still sending has been thrown away. One who asks
    /// before he sends it is told not to.
    async fn refuse(
        &self,
        mut refusal: Response<Body>,
        origin: Option<HeaderValue>,
        sent: Option<&mut Incoming>,
    ) -> Response<Payload> {
        if let Some(body) = sent {
            body::linger(body).await;
        }
        self.0.app.guard.sign(origin, &mut refusal);
        refusal.map(Payload::Any)
    }
}

/// Whether a request is one for [`Routes::predict`]: its path asks for predictions, without a need to decode it.
pub(super) fn predicts(head: &Parts) -> bool {
    let path = head.uri.path();
    head.method == Method::POST && (path == "/invocations" || invocations::plain_name(path).is_some())
}
