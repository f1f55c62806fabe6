//! Two windows of one browser that lead to the same checkout.

use super::{ANNUAL, Visit};

#[tokio::test]
async fn the_window_that_pays_goes_on_to_its_own_page() {
    let visit = Visit::start().await;
    let browser = &visit.browser;
    let provider = visit.world.provider.as_ref().expect("this world has one");
    let order = async || {
        browser.sees("Pricing").await;
        visit.shows("annual").await;
        browser.find(&format!("{ANNUAL} button")).await.click().await.expect("the checkout opens");
        browser.find("button[value=pay]").await;
        browser.driver.current_url().await.expect("it is somewhere")
    };
    visit.open_as(0, "/billing/pricing?next=/premium/lighthouses").await;
    let first = browser.driver.window().await.expect("a window");
    let checkout = order().await;
    let second = browser.driver.new_tab().await.expect("another window");
    browser.driver.switch_to_window(second).await.expect("it is looked at");
    visit.open("/billing/pricing?next=/premium/map-room").await;
    assert_eq!(order().await, checkout, "the open one");
    assert_eq!(provider.sessions().len(), 1);
    browser.click("Start trial").await;
    browser.sees("In the room where the borders were drawn").await;

    // The first window still shows the checkout, which is over.
    browser.driver.switch_to_window(first).await.expect("it is looked at");
    browser.click("Start trial").await;
    browser.sees("That did not work").await;
    assert_eq!(provider.subscriptions().len(), 1, "nobody pays twice");
    visit.end().await;
}
