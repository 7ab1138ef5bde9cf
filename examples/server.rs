//! The relay inside your own program: `cargo run --example server`, stopped with Ctrl-C.

use subrosa::protocol::limits::Limits;
use subrosa::server::{Options, Server, tls::Identity};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (identity, _) = Identity::development("certs".as_ref())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("wss://{}/v1 with pin {}", listener.local_addr()?, identity.pin());
    let server = Server::new(listener, identity.server_config()?, Limits::default(), Options::default());
    server.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
