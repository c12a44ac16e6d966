//! Which handler answers: predictions directly, everything else by way of the router.
//!
//! The router costs a small prediction a tenth of its own instructions: four futures in boxes, a match of the path, and
//! extensions that nobody reads.

use std::convert::Infallible;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{Method, Request, Response};
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::admin::Local;
use super::answer::Payload;
use super::{App, invocations, router};

/// All routes, as the listener calls them.
#[derive(Clone)]
pub struct Routes(Arc<Inner>);

struct Inner {
    app: Arc<App>,
    router: Router,
    service: TowerToHyperService<Router>,
}

impl Routes {
    /// The routes of this server.
    pub fn new(app: Arc<App>) -> Routes {
        let router = router(Arc::clone(&app));
        Routes::with(app, router)
    }

    fn with(app: Arc<App>, router: Router) -> Routes {
        Routes(Arc::new(Inner {
            app,
            service: TowerToHyperService::new(router.clone()),
            router,
        }))
    }

    /// The same for connections by the file of a socket: who can open it is on this machine.
    pub(super) fn local(&self) -> Routes {
        let router = self.0.router.clone().layer(Extension(Local));
        Routes::with(Arc::clone(&self.0.app), router)
    }

    /// Answers a request for predictions.
    pub(super) async fn predict(&self, head: &Parts, body: &mut Incoming) -> Response<Payload> {
        invocations::direct(&self.0.app, head, body).await
    }

    /// Answers any request. The future of the router is in a box, so that a connection that only predicts has no room for
    /// it in its own.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Response<Payload>, Infallible> {
        let answer = Box::pin(self.0.service.call(request)).await?;
        Ok(answer.map(Payload::Any))
    }
}

/// Whether a request is one for [`Routes::predict`]: its path asks for predictions, without a need to decode it.
pub(super) fn predicts(head: &Parts) -> bool {
    let path = head.uri.path();
    head.method == Method::POST && (path == "/invocations" || invocations::plain_name(path).is_some())
}
