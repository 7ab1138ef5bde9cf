//! The relay inside a program that has an HTTPS server of its own, with hyper: `cargo run --example embedded_hyper`.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
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
    tokio::spawn(serve(listener, identity.server_config(), relay.adopter()));
    relay.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}

/// The program's own server: a greeting, and the relay's WebSockets beside it.
pub(crate) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, adopter: Adopter) {
    let tls = TlsAcceptor::from(tls);
    loop {
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let (tls, adopter) = (tls.clone(), adopter.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |mut request: Request<Incoming>| {
                let answer = match request.uri().path() {
                    PATH => adopter.adopt(&mut request, peer.ip()),
                    _ => Response::new(Full::from("a page of the program\n")),
                };
                async { Ok::<_, Infallible>(answer) }
            });
            let serving =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            // A connection that breaks off is its client's affair.
            let _ = serving.with_upgrades().await;
        });
    }
}
