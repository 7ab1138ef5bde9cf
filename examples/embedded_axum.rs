//! The relay inside an axum program, over HTTPS: `cargo run --example embedded_axum`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::routing::{any, get};
use axum::{Router, response::Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use subrosa::protocol::{PATH, limits::Limits};
use subrosa::server::{Adopter, Identity, Options, Server};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let identity = Identity::development("certs".as_ref())?.identity;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("https://{0}/ and wss://{0}{PATH} with pin {1}", listener.local_addr()?, identity.pin());
    let relay = Server::embedded(Limits::default(), Options::default());
    tokio::spawn(serve(listener, identity.server_config(), app(relay.adopter())));
    relay.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}

/// The program's own routes, and the relay's beside them.
pub(crate) fn app(adopter: Adopter) -> Router {
    let websocket = async move |Extension(peer): Extension<SocketAddr>, mut request: Request| -> Response {
        adopter.adopt(&mut request, peer.ip()).map(Body::new)
    };
    Router::new().route("/", get(async || "a page of the program\n")).route(PATH, any(websocket))
}

/// Serves the routes over TLS and HTTP/1.1, and tells each request its client's address.
pub(crate) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, app: Router) {
    let tls = TlsAcceptor::from(tls);
    loop {
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let (tls, app) = (tls.clone(), app.clone().layer(Extension(peer)));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = TowerToHyperService::new(app);
            let serving =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            // A connection that breaks off is its client's affair.
            let _ = serving.with_upgrades().await;
        });
    }
}
