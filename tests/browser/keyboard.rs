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
    go_to(browser, "input[name=consent]").await;
    assert!(browser.find("nav").await.is_displayed().await.expect("a state"), "the navigation was passed over");
    press(browser, Key::Space).await;
    press(browser, Key::Tab).await;
    let focused = browser.driver.active_element().await.expect("a focus");
    assert_eq!(focused.tag_name().await.expect("a tag"), "button", "the box has made its button usable");
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
