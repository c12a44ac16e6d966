//! Which handler answers: predictions directly, everything else by way of the router.
//!
//! The router costs a small prediction a tenth of its own instructions: four futures in boxes, a match of the path, and
//! extensions that nobody reads.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::{App, invocations, router};

/// All routes, as the listener calls them.
#[derive(Clone)]
pub struct Routes {
    app: Arc<App>,
    router: TowerToHyperService<Router>,
}

impl Routes {
    /// The routes of this server.
    pub fn new(app: Arc<App>) -> Routes {
        Routes {
            router: TowerToHyperService::new(router(Arc::clone(&app))),
            app,
        }
    }
}

impl Service<Request<Incoming>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if request.method() == Method::POST && is_plain_prediction(request.uri().path()) {
            let app = Arc::clone(&self.app);
            return Box::pin(async move { Ok(invocations::direct(&app, request.map(Body::new)).await) });
        }
        Box::pin(self.router.call(request))
    }
}

/// Whether a path asks for predictions without a need to decode it.
fn is_plain_prediction(path: &str) -> bool {
    path == "/invocations" || invocations::plain_name(path).is_some()
}
