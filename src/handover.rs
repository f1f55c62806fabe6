//! A new process takes the listeners over from the one that runs, so that no connection is refused in between.
//!
//! Both share the very sockets, so that whatever waits in their queues is taken in by one of the two. The new one says
//! when it is ready; only then the old one stops. If the new one ends before, nothing has happened.

use std::fs::{DirBuilder, Permissions};
use std::io::{IoSlice, IoSliceMut, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;
use tokio::time::timeout;

/// How long the running process may take to hand its listeners out.
const ANSWER: Duration = Duration::from_secs(5);

/// How long the new process may take to get ready.
const READY: Duration = Duration::from_secs(120);

/// Most listeners of a process.
const LISTENERS_MAX: usize = 4;

/// What the new process says when it is ready.
const IS_READY: u8 = b'r';

/// The listeners of a process, by the names of their configuration keys.
#[derive(Debug, Default)]
pub struct Listeners {
    pub public: Option<TcpListener>,
    pub billing: Option<TcpListener>,
    pub admin: Option<TcpListener>,
    pub decide: Option<TcpListener>,
}

impl Listeners {
    /// Those that are there, each with the letter under which it travels.
    fn named(&self) -> impl Iterator<Item = (u8, &TcpListener)> {
        let all = [(b'p', &self.public), (b'b', &self.billing), (b'a', &self.admin), (b'd', &self.decide)];
        all.into_iter().filter_map(|(name, listener)| Some((name, listener.as_ref()?)))
    }

    fn put(&mut self, name: u8, descriptor: OwnedFd) -> Result<()> {
        let place = match name {
            b'p' => &mut self.public,
            b'b' => &mut self.billing,
            b'a' => &mut self.admin,
            b'd' => &mut self.decide,
            _ => bail!("it offers a listener that nobody knows"),
        };
        *place = Some(TcpListener::from(descriptor));
        Ok(())
    }
}

/// The running process, which waits to hear that this one is ready.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// Says that this process serves: the other one may stop.
    pub fn relieve(mut self) -> Result<()> {
        self.0.write_all(&[IS_READY]).context("the process that was to be relieved is gone")
    }
}

/// Asks the process that runs at `place` for its listeners; nothing when none runs there.
///
/// # Errors
/// When the place is not private, or the process that runs gives no listeners.
pub fn take_over(place: &Path) -> Result<Option<(Listeners, Predecessor)>> {
    make_private(place)?;
    let Ok(stream) = UnixStream::connect(place) else { return Ok(None) };
    stream.set_read_timeout(Some(ANSWER)).context("a socket cannot be set up")?;
    let listeners = receive(&stream).context("the process that runs does not hand its listeners over")?;
    Ok(Some((listeners, Predecessor(stream))))
}

fn receive(stream: &UnixStream) -> Result<Listeners> {
    let mut names = [0; LISTENERS_MAX];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut names)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 || received.bytes != descriptors.len() {
        bail!("it closed the connection");
    }
    let mut listeners = Listeners::default();
    for (name, descriptor) in names.into_iter().zip(descriptors) {
        listeners.put(name, descriptor)?;
    }
    Ok(listeners)
}

/// Offers the listeners of this process at a place, and returns when another process has taken them over.
///
/// # Errors
/// When the place cannot be listened on.
pub async fn offer(place: PathBuf, listeners: Listeners) -> Result<()> {
    make_private(&place)?;
    // The one that another process has left behind: who ran there was asked before, or is gone.
    let _ = std::fs::remove_file(&place);
    let offers = UnixListener::bind(&place).with_context(|| format!("cannot listen on {}", place.display()))?;
    std::fs::set_permissions(&place, Permissions::from_mode(0o600)).context("a socket cannot be made private")?;
    loop {
        let (stream, _) = offers.accept().await.context("a socket cannot be accepted")?;
        match hand_out(stream, &listeners).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                tracing::warn!(reason = format!("{error:#}"), "no process has taken over: this one goes on");
            }
        }
    }
}

async fn hand_out(mut stream: tokio::net::UnixStream, listeners: &Listeners) -> Result<()> {
    let peer = socket_peercred(&stream).context("it is not known who asks")?;
    if peer.uid != rustix::process::geteuid() {
        bail!("another user asks for the listeners");
    }
    stream.writable().await?;
    send(stream.as_fd(), listeners)?;
    tracing::info!(process = peer.pid.as_raw_nonzero().get(), "another process takes over");
    let said = timeout(READY, stream.read_u8()).await.context("it does not get ready")?;
    match said {
        Ok(IS_READY) => Ok(()),
        Ok(_) | Err(_) => bail!("it ended before it was ready"),
    }
}

fn send(stream: BorrowedFd<'_>, listeners: &Listeners) -> Result<()> {
    let (names, descriptors): (Vec<u8>, Vec<BorrowedFd<'_>>) =
        listeners.named().map(|(name, listener)| (name, listener.as_fd())).unzip();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        bail!("there are more listeners than fit into a message");
    }
    sendmsg(stream, &[IoSlice::new(&names)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Whether a process could be waited for at `place`, without making anything.
///
/// # Errors
/// When its directory is there, and is not private.
pub fn check(place: &Path) -> Result<()> {
    match place.parent() {
        Some(directory) if !directory.as_os_str().is_empty() && !directory.exists() => Ok(()),
        _ => make_private(place),
    }
}

/// Whoever may connect to the place could take every connection: its directory must be of this user alone.
fn make_private(place: &Path) -> Result<()> {
    let directory = place.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory =
        directory.context("shutdown.handover needs a directory of its own, such as /run/tollgate/handover")?;
    if !directory.exists() {
        let made = DirBuilder::new().mode(0o700).create(directory);
        made.with_context(|| format!("shutdown.handover: {} cannot be made", directory.display()))?;
    }
    let about = std::fs::metadata(directory)
        .with_context(|| format!("shutdown.handover: {} cannot be looked at", directory.display()))?;
    if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o077 != 0 {
        bail!("shutdown.handover: {} must belong to this user alone: `chmod 700` it", directory.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").expect("a port")
    }

    #[tokio::test]
    async fn the_very_sockets_are_handed_over_and_the_old_process_learns_when() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("own").join("handover");
        assert!(take_over(&place).expect("a private place").is_none(), "nobody runs there");
        let (public, admin) = (listener(), listener());
        let addresses = [public.local_addr().expect("bound"), admin.local_addr().expect("bound")];
        let offered = Listeners { public: Some(public), billing: None, admin: Some(admin), decide: None };
        let offering = tokio::spawn(offer(place.clone(), offered));
        let ask = || {
            let place = place.clone();
            tokio::task::spawn_blocking(move || take_over(&place).expect("it answers"))
        };
        let dead = loop {
            match ask().await.expect("no panic") {
                Some(taken) => break taken,
                None => tokio::task::yield_now().await,
            }
        };
        drop(dead);
        let (taken, predecessor) =
            ask().await.expect("no panic").expect("the old process goes on when the new one dies");
        assert!(!offering.is_finished());
        let [public, admin] = [taken.public, taken.admin].map(|listener| listener.expect("it was offered"));
        assert_eq!([public, admin].map(|listener| listener.local_addr().expect("bound")), addresses);
        assert!(taken.billing.is_none());
        predecessor.relieve().expect("it listens");
        offering.await.expect("no panic").expect("it has been taken over");
    }

    #[test]
    fn a_place_that_others_can_reach_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("ours");
        let error = take_over(&directory.path().join("handover")).expect_err("others may look in").to_string();
        assert!(error.contains("chmod 700"), "{error}");
        assert!(take_over(Path::new("handover")).is_err(), "no directory");
    }
}
