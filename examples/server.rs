//! The relay inside your own program: `cargo run --example server`, stopped with Ctrl-C.

use subrosa::protocol::limits::Limits;
use subrosa::server::{Identity, Options, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let identity = Identity::development("certs".as_ref())?.identity;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("wss://{}/v1 with pin {}", listener.local_addr()?, identity.pin());
    let server = Server::new(listener, &identity, Limits::default(), Options::default());
    server.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
