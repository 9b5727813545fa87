//! Metrics over HTTP.

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use vsched::Director;
use vsched::metrics::Options;

/// Answers `GET /metrics` with the director's [metrics](vsched::metrics).
///
/// ```no_run
/// use pingora_core::server::Server;
/// use pingora_core::services::listening::Service;
/// use vsched::{Director, metrics::Options};
/// use vsched_pingora::Metrics;
/// # let (mut server, director) = (Server::new(None)?, Director::new(&"".parse()?)?);
/// let metrics = Metrics::new(director, Options::new().with_servers());
/// let mut service = Service::new("metrics".to_owned(), metrics);
/// service.add_tcp("127.0.0.1:9090");
/// server.add_service(service);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Metrics {
    director: Director,
    options: Options,
}

impl Metrics {
    /// Returns an application for a pingora service. A scrape takes no lock.
    pub fn new(director: Director, options: Options) -> Self {
        Metrics { director, options }
    }
}

#[async_trait]
impl ServeHttp for Metrics {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        if request.uri.path() != "/metrics" {
            return answer(StatusCode::NOT_FOUND, "text/plain", Vec::new());
        }
        if request.method != Method::GET {
            return answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Vec::new());
        }
        let text = self.director.metrics(&self.options);
        answer(StatusCode::OK, self.options.format.content_type(), text.into_bytes())
    }
}

fn answer(status: StatusCode, content: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    let length = response.body().len().into();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content));
    headers.insert(header::CONTENT_LENGTH, length);
    response
}
