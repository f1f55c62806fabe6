//! A site that speaks HTTP/2, frame by frame: what it says that it has not processed, answers that come early, and data where
//! there are none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::protocols::client::{Client, status};
use crate::protocols::secure::{Http2, Identity, piece};
use crate::protocols::slow_http2::post;
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World};

/// Kinds of frames, and flags (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const WINDOW: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Fields of the static table (RFC 7541 appendix A): a status of 200, and one of 204.
const OK: &[u8] = &[0x88];
const NO_CONTENT: &[u8] = &[0x89];

/// A setting (RFC 9113 section 6.5.2): how much may be sent of a body before the site takes it in.
const INITIAL_WINDOW: [u8; 2] = [0, 4];

const PREFACE: usize = 24;
const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;

/// The site's deed with a stream whose head has come.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// It has processed none of the streams, and says that the connection ends.
    GoAway,
    Refuse,
    Serve,
    /// It answers all at once, and takes nothing more in.
    Early,
    NoContentWithData,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn frames(act: Act, stream: u32) -> Vec<u8> {
    match act {
        Act::GoAway => frame(GO_AWAY, 0, 0, &[0_u32.to_be_bytes(), NO_ERROR.to_be_bytes()].concat()),
        Act::Refuse => frame(RESET, 0, stream, &REFUSED_STREAM.to_be_bytes()),
        Act::Serve => frame(HEADERS, END_HEADERS | END_STREAM, stream, OK),
        Act::Early => [
            frame(HEADERS, END_HEADERS, stream, OK),
            frame(DATA, END_STREAM, stream, b"early"),
            frame(RESET, 0, stream, &NO_ERROR.to_be_bytes()),
        ]
        .concat(),
        Act::NoContentWithData => {
            [frame(HEADERS, END_HEADERS, stream, NO_CONTENT), frame(DATA, END_STREAM, stream, b"hidden")].concat()
        }
    }
}

fn act_of(acts: &[Act], number: usize) -> Act {
    acts.get(number).copied().unwrap_or(Act::Serve)
}

/// Does so with the streams that come, in their order, and serves those behind them. Counts them.
async fn site(acts: &'static [Act]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = Arc::clone(&counting);
            // The gate may close it at any time.
            tokio::spawn(async move { drop(serve(stream, acts, &count).await) });
        }
    });
    (address, count)
}

async fn serve(mut stream: TcpStream, acts: &[Act], count: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[&INITIAL_WINDOW[..], &1000_u32.to_be_bytes()].concat())).await?;
    stream.read_exact(&mut [0; PREFACE]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, on @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
            HEADERS => {
                let number = count.fetch_add(1, Ordering::AcqRel);
                stream.write_all(&frames(act_of(acts, number), u32::from_be_bytes(on))).await?;
            }
            // Of the connection alone: others are not to wait for what nobody reads of this one.
            DATA if !payload.is_empty() => stream.write_all(&frame(WINDOW, 0, 0, &[0, a, b, c])).await?,
            _ => {}
        }
    }
}

fn before(address: SocketAddr) -> Setup {
    Setup::new(Arrangement::AllPostgres).upstream(address).key("proxy.http2", "true")
}

/// A world under TLS.
async fn secure(address: SocketAddr) -> (World, Http2, tempfile::TempDir) {
    let (identity, dir) = (Identity::new(), tempfile::tempdir().expect("a directory"));
    identity.write(dir.path());
    let path = |name: &str| format!("{:?}", dir.path().join(name));
    let setup = before(address).key("tls.certificate", &path("site.pem")).key("tls.key", &path("site.key"));
    let world = World::with(setup).await;
    let client = identity.http2(world.proxy().listen.public).await;
    (world, client, dir)
}

#[tokio::test]
async fn what_a_site_has_not_processed_is_sent_once_more_and_never_again() {
    let cases: [(&[Act], u16, usize); 5] = [
        (&[Act::GoAway], 200, 2),
        (&[Act::Refuse], 200, 2),
        (&[Act::GoAway, Act::GoAway], 502, 2),
        (&[Act::Refuse, Act::Refuse], 502, 2),
        (&[Act::Refuse, Act::GoAway], 502, 2),
    ];
    for (acts, expected, tries) in cases {
        for (method, line, body) in [("GET", "X-A: 1", ""), ("POST", "Content-Length: 5", "hello")] {
            let (address, count) = site(acts).await;
            let world = World::with(before(address)).await;
            let mut client = Client::connect(world.proxy().listen.public).await;
            client.ask(method, "/page", None, &[line]).await;
            client.send(body.as_bytes()).await;
            let head = client.head().await;
            let seen = (status(&head), count.load(Ordering::Acquire));
            assert_eq!(seen, (expected, tries), "{acts:?} {method}: {head}");
        }
    }
}

#[tokio::test]
async fn data_behind_a_head_that_has_none_reach_nobody() {
    let (address, _) = site(&[Act::NoContentWithData; 2]).await;
    let (_world, mut client, _dir) = secure(address).await;
    let answer = client.get("/page", None).await;
    assert_eq!(answer.status(), 204);
    let mut body = answer.into_body();
    assert_eq!(piece(&mut body).await.filter(|bytes| !bytes.is_empty()), None);
    assert!(body.is_end_stream());
    assert_eq!(client.get("/other", None).await.status(), 204, "and its connection goes on");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_end_of_an_upload_arrives_over_http2() {
    let (address, _) = site(&[Act::Early; 64]).await;
    let (_world, client, _dir) = secure(address).await;
    for number in 0..32 {
        let lines = [("content-length", "200000")];
        // Of a body with this length nothing is awaited. docs/decisions/fast-path.md says what becomes of others.
        let (answer, mut stream) = post(&client, "/page", &lines).await;
        let sending = async move {
            for _ in 0..150 {
                stream.reserve_capacity(16_000);
                let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
                if !matches!(room, Some(Ok(1..))) || stream.send_data(Bytes::from(vec![b'x'; 1_000]), false).is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let answer = timeout(DEADLINE, async {
            tokio::select! {
                answer = answer => answer.expect("an answer"),
                () = sending => unreachable!("it never ends"),
            }
        });
        let answer = answer.await.expect("in time");
        assert_eq!(answer.status(), 200, "upload {number}");
        assert_eq!(piece(&mut answer.into_body()).await.as_deref(), Some(&b"early"[..]), "upload {number}");
    }
}
