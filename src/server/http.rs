//! The answers of the port over HTTPS: the upgrade to WebSocket, health, the web client and its hash.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::web::{self, Asset};
use crate::protocol;
use crate::relay::Relay;

type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const PAGE: &str = "/";
/// Two years (RFC 6797): browsers connect over TLS only.
const TRANSPORT_SECURITY: &str = "max-age=63072000";

/// The HTTP side of one server.
pub(super) struct Site {
    relay: Arc<Relay>,
    allowed_origins: Vec<String>,
    /// The pin of a certificate that no authority has issued.
    development_pin: Option<String>,
}

impl Site {
    pub(super) fn new(relay: Arc<Relay>, allowed_origins: Vec<String>, development_pin: Option<String>) -> Self {
        Self { relay, allowed_origins, development_pin }
    }

    /// Answers one request. `upgrade` takes over a connection that became a WebSocket.
    pub(super) fn answer(&self, request: Request<Incoming>, upgrade: impl FnOnce(OnUpgrade)) -> Answer {
        let mut answer = self.answer_path(request, upgrade);
        // Not with a development certificate: a browser would demand TLS of everything on that host.
        if self.development_pin.is_none() {
            let headers = answer.headers_mut();
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT_SECURITY));
        }
        answer
    }

    fn answer_path(&self, mut request: Request<Incoming>, upgrade: impl FnOnce(OnUpgrade)) -> Answer {
        if !names_one_host(&request) {
            return without_host();
        }
        let path = request.uri().path();
        let asset = web::release().get(path);
        if asset.is_none() && !matches!(path, "/healthz" | web::HASH_PATH | protocol::PATH) {
            return plain(StatusCode::NOT_FOUND, "There is nothing here. The WebSocket is at /v1.\n");
        }
        let upgrades = path == protocol::PATH;
        if request.method() != Method::GET && (upgrades || request.method() != Method::HEAD) {
            let allowed = HeaderValue::from_static(if upgrades { "GET" } else { "GET, HEAD" });
            return with(plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET works here.\n"), header::ALLOW, allowed);
        }
        match path {
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            web::HASH_PATH => plain(StatusCode::OK, &format!("{}\n", web::release().hash())),
            protocol::PATH => {
                let answer = self.upgrade(&request);
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    upgrade(hyper::upgrade::on(&mut request));
                }
                answer
            }
            PAGE if names(&request, header::ACCEPT, "application/json") => self.information(),
            _ => asset.map_or_else(|| plain(StatusCode::NOT_FOUND, ""), |asset| serve(asset, &request)),
        }
    }

    /// What programs want to know; a browser that has accepted a development certificate learns its pin for the links
    /// that it makes.
    fn information(&self) -> Answer {
        let information = serde_json::json!({
            "server": "subrosa",
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": protocol::VERSION,
            "websocket": protocol::PATH,
            "pin": self.development_pin,
            "limits": self.relay.limits(),
        });
        body(StatusCode::OK, "application/json", format!("{information}\n").into())
    }

    /// Answers a request for a WebSocket.
    pub(super) fn upgrade<B>(&self, request: &Request<B>) -> Answer {
        if !names_one_host(request) {
            return without_host();
        }
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

    /// Browsers name the page's origin (RFC 6455 §10.2): the server's own and those that the host allowed may connect.
    /// Other programs name none.
    fn origin_is_allowed<B>(&self, request: &Request<B>) -> bool {
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        // A browser names one. Of two, a proxy may have checked the other.
        if origins.next().is_some() {
            return false;
        }
        let Ok(origin) = origin.to_str() else { return false };
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let own = host
            .is_some_and(|host| origin.strip_prefix("https://").is_some_and(|name| name.eq_ignore_ascii_case(host)));
        own || self.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

/// A request names its host exactly once; HTTP/1.0 may leave it out.
fn names_one_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11
}

fn without_host() -> Answer {
    plain(StatusCode::BAD_REQUEST, "A request names its host exactly once (RFC 9112, section 3.2).\n")
}

/// The server has too many connections.
pub(super) fn too_many() -> Answer {
    let answer =
        plain(StatusCode::SERVICE_UNAVAILABLE, "Too many connections, in all or from your address. Try again later.\n");
    let answer = with(answer, header::RETRY_AFTER, HeaderValue::from_static("30"));
    with(answer, header::CONNECTION, HeaderValue::from_static("close"))
}

/// A server that adopts connections has not begun yet, or has stopped.
pub(super) fn not_serving() -> Answer {
    let answer = plain(StatusCode::SERVICE_UNAVAILABLE, "The server does not run. Try again later.\n");
    let answer = with(answer, header::RETRY_AFTER, HeaderValue::from_static("5"));
    with(answer, header::CONNECTION, HeaderValue::from_static("close"))
}

/// A file of the web client, with the headers that isolate the page.
///
/// Browsers keep it and ask each time whether it is still the same (RFC 9110 §13.1.2); then the answer is only a head.
fn serve(asset: Asset, request: &Request<Incoming>) -> Answer {
    let compressed = names(request, header::ACCEPT_ENCODING, "gzip");
    let same = matches_tag(request, asset.tag);
    let mut answer = if same {
        body(StatusCode::NOT_MODIFIED, asset.kind, Bytes::new())
    } else {
        body(StatusCode::OK, asset.kind, Bytes::from_static(if compressed { asset.gzip } else { asset.plain }))
    };
    let headers = answer.headers_mut();
    if compressed && !same {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::ETAG, HeaderValue::from_static(asset.tag));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(web::CONTENT_SECURITY_POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for (name, value) in [
        ("permissions-policy", web::PERMISSIONS_POLICY),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
        ("origin-agent-cluster", "?1"),
    ] {
        headers.insert(header::HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

/// Whether the client has the content of a tag already: `If-None-Match` lists the tags that it has, or is `*`. Compared
/// weakly, as that header is.
fn matches_tag(request: &Request<Incoming>, tag: &str) -> bool {
    let lists = request.headers().get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// Whether a header that lists what the client takes names `wanted`, and not with weight zero (RFC 9110 §12.4.2).
fn names(request: &Request<Incoming>, header: header::HeaderName, wanted: &str) -> bool {
    let lists = request.headers().get_all(header).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()).unwrap_or(1.0);
        name.trim().eq_ignore_ascii_case(wanted) && weight > 0.0
    })
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
