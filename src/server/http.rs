//! What the port answers over HTTPS: the upgrade to WebSocket, health, and a page that says what this is.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::protocol;
use crate::relay::Relay;

type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const PAGE: &str = include_str!("page.html");

/// The HTTP side of one server.
pub(super) struct Site {
    relay: Arc<Relay>,
    allowed_origins: Vec<String>,
}

impl Site {
    pub(super) fn new(relay: Arc<Relay>, allowed_origins: Vec<String>) -> Self {
        Self { relay, allowed_origins }
    }

    /// Answers one request. `upgrade` takes over a connection that became a WebSocket.
    pub(super) fn answer(&self, mut request: Request<Incoming>, upgrade: impl FnOnce(OnUpgrade)) -> Answer {
        let path = request.uri().path();
        if !matches!(path, "/" | "/healthz" | protocol::PATH) {
            return plain(StatusCode::NOT_FOUND, "There is nothing here. The WebSocket is at /v1.\n");
        }
        let upgrades = path == protocol::PATH;
        if request.method() != Method::GET && (upgrades || request.method() != Method::HEAD) {
            let allowed = HeaderValue::from_static(if upgrades { "GET" } else { "GET, HEAD" });
            return with(plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET works here.\n"), header::ALLOW, allowed);
        }
        match path {
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            "/" => self.index(&request),
            _ => {
                let answer = self.upgrade(&request);
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    upgrade(hyper::upgrade::on(&mut request));
                }
                answer
            }
        }
    }

    fn index(&self, request: &Request<Incoming>) -> Answer {
        let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        if accepts.split(',').any(|kind| kind.trim().starts_with("application/json")) {
            let information = serde_json::json!({
                "server": "subrosa",
                "version": env!("CARGO_PKG_VERSION"),
                "protocol": protocol::VERSION,
                "websocket": protocol::PATH,
                "limits": self.relay.limits(),
            });
            return body(StatusCode::OK, "application/json", format!("{information}\n").into());
        }
        let mut page = body(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes()));
        let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
        let headers = page.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        page
    }

    fn upgrade(&self, request: &Request<Incoming>) -> Answer {
        let asks = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !asks.eq_ignore_ascii_case("websocket") {
            let answer = plain(StatusCode::UPGRADE_REQUIRED, "This is a WebSocket end point: connect with wss://.\n");
            let answer = with(answer, header::UPGRADE, HeaderValue::from_static("websocket"));
            return with(answer, header::CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        if !self.origin_is_allowed(request) {
            return plain(
                StatusCode::FORBIDDEN,
                "Pages of that origin may not connect; the host can allow it with --allow-origin.\n",
            );
        }
        match create_response_with_body(request, Full::default) {
            Ok(response) => response,
            Err(error) => {
                let answer = plain(StatusCode::BAD_REQUEST, &format!("Not a WebSocket handshake: {error}.\n"));
                with(answer, header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
            }
        }
    }

    /// Browsers name the page's origin (RFC 6455 §10.2): the server's own and those that the host allowed may connect. Other programs name none.
    fn origin_is_allowed(&self, request: &Request<Incoming>) -> bool {
        let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let own = host
            .is_some_and(|host| origin.strip_prefix("https://").is_some_and(|name| name.eq_ignore_ascii_case(host)));
        own || self.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

/// There are more connections than the server takes.
pub(super) fn too_many() -> Answer {
    let answer =
        plain(StatusCode::SERVICE_UNAVAILABLE, "Too many connections, in all or from your address. Try again later.\n");
    let answer = with(answer, header::RETRY_AFTER, HeaderValue::from_static("30"));
    with(answer, header::CONNECTION, HeaderValue::from_static("close"))
}

fn plain(status: StatusCode, text: &str) -> Answer {
    body(status, TEXT, Bytes::copy_from_slice(text.as_bytes()))
}

fn body(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn with(mut answer: Answer, name: header::HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}
