//! What can be seen of a page: by day and by night, on a desk and in a hand, and in pictures for the documents.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::browser::Browser;
use crate::world::http::{client, send};

/// Names the directory for pictures; without it none are taken.
const PICTURES: &str = "SCREENSHOTS";

/// The largest picture that belongs into the documents, in bytes.
const PICTURE_BYTES_MAX: usize = 150_000;

const AUDIT: &str = include_str!("audit.js");

/// On desks and tablets, in a hand, and on the smallest screen that WCAG asks for (1.4.10); pictures are taken at the first.
const WIDTHS: [u32; 5] = [1180, 1920, 820, 390, 320];

/// Requires that the page can be used by everybody: in both colour schemes, wide and narrow.
pub async fn audit(browser: &Browser, page: &str) {
    for scheme in ["light", "dark"] {
        in_scheme(browser, scheme).await;
        for width in WIDTHS {
            in_window(browser, width).await;
            let found = browser.driver.execute(AUDIT, vec![]).await.expect("the audit runs");
            let problems: Vec<String> = found.convert().expect("problems");
            assert!(problems.is_empty(), "{page}, {scheme}, {width} pixels wide: {problems:#?}");
        }
    }
    in_scheme(browser, "light").await;
    in_window(browser, WIDTHS[0]).await;
}

/// Takes a picture of the whole page, by day and by night, when somebody wants pictures.
pub async fn picture(browser: &Browser, name: &str) {
    let Some(directory) = std::env::var_os(PICTURES) else { return };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    std::fs::create_dir_all(&directory).expect("a directory for pictures");
    for scheme in ["light", "dark"] {
        in_scheme(browser, scheme).await;
        take(browser, &directory.join(format!("{name}-{scheme}.png"))).await;
    }
    in_scheme(browser, "light").await;
}

/// Takes a picture as it looks in a hand.
pub async fn picture_in_a_hand(browser: &Browser, name: &str) {
    let Some(directory) = std::env::var_os(PICTURES) else { return };
    in_window(browser, 390).await;
    take(browser, &Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join(format!("{name}-narrow.png"))).await;
    in_window(browser, WIDTHS[0]).await;
}

async fn take(browser: &Browser, path: &Path) {
    command(browser, "Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    let answer = command(browser, "Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
    let bytes = STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("base64");
    assert!(bytes.len() <= PICTURE_BYTES_MAX, "{} has {} bytes", path.display(), bytes.len());
    std::fs::write(path, bytes).expect("the picture is written");
    command(browser, "Emulation.setScrollbarsHidden", json!({ "hidden": false })).await;
}

/// Has the page believe that its visitor prefers `light` or `dark`.
pub async fn in_scheme(browser: &Browser, scheme: &str) {
    let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
    command(browser, "Emulation.setEmulatedMedia", json!({ "features": features })).await;
}

/// Shows the page in a window that is so many pixels wide.
async fn in_window(browser: &Browser, width: u32) {
    let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    command(browser, "Emulation.setDeviceMetricsOverride", size).await;
}

/// Switches off the scripts of pages; the driver's own still run.
pub async fn without_scripts(browser: &Browser) {
    command(browser, "Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
}

/// A command of the DevTools protocol, which the driver passes on.
async fn command(browser: &Browser, name: &str, parameters: Value) -> Value {
    let (server, session) = (browser.driver.server_url().as_str(), browser.driver.session_id().to_string());
    let url = format!("{}/session/{session}/goog/cdp/execute", server.trim_end_matches('/'));
    let answer = send(client().post(url).json(&json!({ "cmd": name, "params": parameters }))).await;
    assert_eq!(answer.status, 200, "{name}: {answer:?}");
    answer.json()["value"].clone()
}
