//! A real browser, without a window, that forgets everything afterwards.

use std::path::Path;
use std::process::Command;

use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::prelude::*;

use super::http::{client, try_send};
use super::ports;
use super::process::Process;
use super::wait::eventually;

/// What a browser needs to run as root in a container, and to ask nobody but the tested site.
const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // The browser ends with the driver, however that ends.
    "--remote-debugging-pipe",
];

/// A browser, and the driver that it hangs on.
pub struct Browser {
    pub driver: WebDriver,
    _process: Process,
}

impl Browser {
    /// Starts one that keeps its files in `dir`.
    pub async fn start(dir: &Path) -> Self {
        let port = ports::free().port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", dir);
        let process = Process::start("chromedriver", &mut command, dir.join("chromedriver.log"));
        let (client, url) = (client(), format!("http://127.0.0.1:{port}"));
        eventually("the driver answers", async || {
            try_send(client.get(format!("{url}/status"))).await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        let mut capabilities = DesiredCapabilities::chrome();
        let profile = format!("--user-data-dir={}", dir.join("browser").display());
        for argument in ARGUMENTS.into_iter().chain([profile.as_str()]) {
            capabilities.add_arg(argument).expect("an argument");
        }
        let driver = WebDriver::new(&url, capabilities).await.expect("the browser starts");
        Self { driver, _process: process }
    }

    /// Follows a link or presses a button, by its text.
    pub async fn click(&self, text: &str) {
        let path = format!("//a[normalize-space()='{text}'] | //button[normalize-space()='{text}']");
        eventually(&format!("something that says {text:?} is clicked"), async || {
            let found = present(self.driver.query(By::XPath(path.clone())).and_clickable().first().await)?;
            present(found.click().await)
        })
        .await;
    }

    /// What a CSS selector finds first, once it is there.
    pub async fn find(&self, css: &str) -> WebElement {
        eventually(&format!("{css} is on the page"), async || {
            present(self.driver.query(By::Css(css)).and_displayed().first().await)
        })
        .await
    }

    /// The text of what a CSS selector finds first.
    pub async fn text(&self, css: &str) -> String {
        eventually(&format!("{css} has a text"), async || present(self.find(css).await.text().await)).await
    }

    /// Waits until the page's heading is this.
    pub async fn sees(&self, heading: &str) {
        eventually(&format!("the page says {heading:?}"), async || {
            let found = present(self.driver.find(By::Css("h1")).await)?;
            (present(found.text().await)? == heading).then_some(())
        })
        .await;
    }

    /// The path and query of the page.
    pub async fn path(&self) -> String {
        let url = self.driver.current_url().await.expect("it is somewhere");
        url[url::Position::BeforePath..].to_owned()
    }
}

/// What the driver answers about an element; nothing when there is none. One that was found may belong to the page that is
/// being left: then it is stale, and looked for again.
fn present<T>(answer: WebDriverResult<T>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) if is_gone(&error) => None,
        Err(error) => panic!("the browser refuses: {error}"),
    }
}

fn is_gone(error: &WebDriverError) -> bool {
    use WebDriverErrorInner::{NoSuchElement, StaleElementReference};
    // What the driver has no word of its own for when the page goes while it looks.
    const LEFT: &str = "does not belong to the document";
    matches!(error.as_inner(), NoSuchElement(_) | StaleElementReference(_)) || error.to_string().contains(LEFT)
}
