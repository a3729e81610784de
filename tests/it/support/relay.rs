//! A way to a server that can be cut: bytes stop, and neither side is told.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Relay {
    pub address: SocketAddr,
    carries: watch::Sender<bool>,
}

impl Relay {
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (carries, carrying) = watch::channel(true);
        let server = Arc::new(server);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, carrying) = (server.clone(), carrying.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(&*server).await else { return };
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::spawn(carry(from_client, to_server, carrying.clone()));
                    carry(from_server, to_client, carrying).await;
                });
            }
        });
        Self { address, carries }
    }

    /// Cuts the way, or mends it.
    pub fn carry(&self, carries: bool) {
        self.carries.send_replace(carries);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut carrying: watch::Receiver<bool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if carrying.wait_for(|carries| *carries).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
