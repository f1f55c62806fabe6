//! Bodies of any size stream: what is in flight takes no memory that grows with them.

use super::client::{Client, status};
use super::many::resident_kb;
use super::site::Site;
use crate::world::{Arrangement, Setup, World};

/// The size of a large body, in blocks of 64 KiB: 256 MiB.
const BLOCKS: usize = 4096;

const BLOCK: usize = 64 * 1024;

/// The most that memory may grow while it passes, in kB.
const GROWTH_KB_MAX: usize = 24 * 1024;

#[tokio::test]
async fn a_large_upload_and_a_large_download_stream() {
    let site = Site::start().await;
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(site.address)).await;
    let (address, process) = (world.proxy().listen.public, world.proxy().process.id());
    let before = resident_kb(process);

    let mut client = Client::connect(address).await;
    let length = format!("Content-Length: {}", BLOCKS * BLOCK);
    client.ask("POST", "/upload", None, &[&length]).await;
    let block = vec![b'x'; BLOCK];
    for _ in 0..BLOCKS {
        client.send(&block).await;
    }
    let (status_code, body) = client.answer().await.expect("an answer");
    assert_eq!((status_code, body), (200, format!("/upload took {} bytes", BLOCKS * BLOCK)));
    let uploaded = resident_kb(process);
    assert!(uploaded < before + GROWTH_KB_MAX, "{before} kB before the upload, {uploaded} kB after it");

    client.ask("GET", &format!("/download?blocks={BLOCKS}"), None, &[]).await;
    assert_eq!(status(&client.head().await), 200);
    site.let_go(1);
    client.takes(BLOCKS * BLOCK).await;
    let downloaded = resident_kb(process);
    assert!(downloaded < before + GROWTH_KB_MAX, "{before} kB before, {downloaded} kB after the download");
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_the_site_back_and_takes_no_memory() {
    let site = Site::start().await;
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(site.address)).await;
    let (address, process) = (world.proxy().listen.public, world.proxy().process.id());
    let before = resident_kb(process);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Client::connect(address).await;
        client.ask("GET", &format!("/download?blocks={BLOCKS}"), None, &[]).await;
        assert_eq!(status(&client.head().await), 200);
        clients.push(client);
    }
    site.let_go(clients.len());
    // Others are served meanwhile, for as long as it takes the stalled ones to fill what they can.
    for _ in 0..200 {
        assert_eq!(Client::connect(address).await.get("/page", None).await.map(|(status, _)| status), Some(200));
    }
    let after = resident_kb(process);
    assert!(after < before + GROWTH_KB_MAX, "{before} kB before, {after} kB while they stand still");
}
