//! A purchase by somebody who uses no mouse.

use thirtyfour::Key;

use super::Visit;
use crate::world::browser::Browser;

/// More controls than any page has.
const STOPS_MAX: usize = 40;

/// How the focus shows: the style and width of the outline, in pixels.
const OUTLINE: &str = "const focused = document.activeElement; const style = getComputedStyle(focused);
    return style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth);";

async fn press(browser: &Browser, key: Key) {
    browser.driver.action_chain().send_keys(key).perform().await.expect("a key");
}

/// Presses Tab until the focus is on what the selector finds. Every stop on the way must show.
async fn go_to(browser: &Browser, css: &str) {
    for _ in 0..STOPS_MAX {
        press(browser, Key::Tab).await;
        let focused = browser.driver.active_element().await.expect("a focus");
        let outline = browser.driver.execute(OUTLINE, vec![]).await.expect("a style");
        let width: f64 = outline.convert().expect("a width");
        assert!(width >= 2.0, "the focus is seen on {:?}", focused.outer_html().await);
        let script = "return document.activeElement.matches(arguments[0])";
        let there = browser.driver.execute(script, vec![css.into()]).await.expect("an answer");
        if there.convert::<bool>().expect("yes or no") {
            return;
        }
    }
    panic!("no Tab leads to {css}");
}

#[tokio::test]
async fn a_month_is_bought_with_the_keyboard_alone() {
    let visit = Visit::start().await;
    let browser = &visit.browser;
    visit.open_as(2, "/billing/pricing?next=/premium/lighthouses").await;
    browser.sees("Pricing").await;

    go_to(browser, "a.skip").await;
    press(browser, Key::Enter).await;
    let opens = "[data-tier=paid] [data-cadence=monthly] > button";
    go_to(browser, opens).await;
    assert!(browser.find("nav").await.is_displayed().await.expect("a state"), "the navigation was passed over");
    press(browser, Key::Enter).await;
    let is_there = async |css: &str| {
        let script = "return document.activeElement.matches(arguments[0])";
        browser.driver.execute(script, vec![css.into()]).await.expect("an answer").convert::<bool>().expect("a word")
    };
    assert!(is_there("input[name=consent]").await, "the sheet begins with what is asked");
    press(browser, Key::Escape).await;
    assert!(is_there(opens).await, "the sheet is closed, and the way goes on where it was");
    press(browser, Key::Enter).await;
    press(browser, Key::Space).await;
    press(browser, Key::Tab).await;
    assert!(is_there("button[type=submit]").await);
    press(browser, Key::Enter).await;

    browser.find("button[value=pay]").await;
    let pay = browser.find("button[value=pay]").await;
    pay.send_keys(Key::Enter + "").await.expect("it is paid");
    browser.sees("The keepers who never left").await;
    visit.end().await;
}

#[tokio::test]
async fn the_switch_between_cadences_is_moved_by_keys() {
    let visit = super::market::visit().await;
    let browser = &visit.browser;
    visit.open_as(0, "/billing/pricing").await;
    browser.sees("Plans for every shop").await;
    let script = "return document.activeElement.id";
    for _ in 0..STOPS_MAX {
        press(browser, Key::Tab).await;
        let id = browser.driver.execute(script, vec![]).await.expect("an answer").convert::<String>().expect("an id");
        if id == "shown-monthly" {
            break;
        }
    }
    assert!(browser.text("[data-tier=essential]").await.contains("€49 a month"));
    press(browser, Key::Right).await;
    assert!(browser.text("[data-tier=essential]").await.contains("€490 a year"));
    assert!(!browser.text("[data-tier=essential]").await.contains("€49 a month"));
    visit.end().await;
}
