//! The writing half of a connection: small frames go out together, large ones in parts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::SplitSink;
use futures_util::{Sink, SinkExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::dial::Socket;

/// Frames of this many bytes together go out in one write. A larger message goes out in fragments of this size: each of
/// them has the whole time to get through, so that a slow line is not taken for a dead one, and no buffer grows to the
/// size of the message.
const BATCH_BYTES: usize = 16 * 1024;

/// Writes frames until the connection breaks, nothing gets through for `within`, or no more can come. Sets `moved` when
/// a fragment has got through: the server may have had no time to say anything.
pub(super) async fn write(
    mut sink: SplitSink<Socket, Message>,
    frames: mpsc::UnboundedReceiver<Message>,
    within: Duration,
    moved: &AtomicBool,
) {
    // How it ended shows in the reading half as well.
    let _ = write_all(&mut sink, frames, within, moved).await;
}

async fn write_all<S: Sink<Message, Error = tungstenite::Error> + Unpin>(
    sink: &mut S,
    mut frames: mpsc::UnboundedReceiver<Message>,
    within: Duration,
    moved: &AtomicBool,
) -> Result<(), tungstenite::Error> {
    let late = |_| tungstenite::Error::Io(std::io::ErrorKind::TimedOut.into());
    while let Some(mut frame) = frames.recv().await {
        let mut bytes = 0;
        loop {
            bytes += frame.len();
            match frame {
                Message::Text(text) if text.len() > BATCH_BYTES => {
                    for fragment in fragments(text.into()) {
                        timeout(within, sink.send(fragment)).await.map_err(late)??;
                        moved.store(true, Ordering::Relaxed);
                    }
                }
                frame => timeout(within, sink.feed(frame)).await.map_err(late)??,
            }
            if bytes >= BATCH_BYTES {
                break;
            }
            match frames.try_recv() {
                Ok(next) => frame = next,
                Err(_) => break,
            }
        }
        timeout(within, sink.flush()).await.map_err(late)??;
    }
    Ok(())
}

/// A text message in fragments (RFC 6455 §5.4).
fn fragments(text: Bytes) -> impl Iterator<Item = Message> {
    let count = text.len().div_ceil(BATCH_BYTES);
    (0..count).map(move |at| {
        let part = text.slice(at * BATCH_BYTES..text.len().min((at + 1) * BATCH_BYTES));
        let opcode = OpCode::Data(if at == 0 { Data::Text } else { Data::Continue });
        Message::Frame(Frame::message(part, opcode, at + 1 == count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_make_up_the_whole() {
        for length in [BATCH_BYTES + 1, 2 * BATCH_BYTES, 5 * BATCH_BYTES - 1] {
            let text: Vec<u8> = (0..length).map(|i| b'a' + (i % 26) as u8).collect();
            let frames: Vec<_> = fragments(text.clone().into())
                .map(|message| if let Message::Frame(frame) = message { frame } else { panic!("no frame") })
                .collect();
            let last = frames.len() - 1;
            for (at, frame) in frames.iter().enumerate() {
                assert_eq!(frame.header().is_final, at == last);
                assert_eq!(frame.header().opcode == OpCode::Data(Data::Text), at == 0);
                assert!(frame.payload().len() <= BATCH_BYTES && !frame.payload().is_empty());
            }
            let whole: Vec<u8> = frames.iter().flat_map(|frame| frame.payload().to_vec()).collect();
            assert_eq!(whole, text);
        }
    }
}
