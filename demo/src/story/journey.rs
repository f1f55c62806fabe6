//! The steps of the story.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Settings;
use super::browser::{Browser, Page};
use super::hosted;
use super::teller::{Teller, Verdict};

/// How long to wait before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What somebody would claim to be let through.
const FORGED: [(&str, &str); 3] =
    [("x-entitlement-tier", "forged"), ("x-entitlement-account", "forged"), ("x-entitlement-assertion", "forged")];

/// Two people at one site.
pub struct Journey<'a> {
    settings: &'a Settings,
    buyer: Browser,
    other: Browser,
}

impl<'a> Journey<'a> {
    pub fn new(settings: &'a Settings) -> Result<Self> {
        let (buyer, other) = (Browser::new(&settings.public_url)?, Browser::new(&settings.public_url)?);
        Ok(Self { settings, buyer, other })
    }

    pub async fn play(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        self.arrive(teller).await?;
        let checkout = self.order(teller).await?;
        self.pay(teller, &checkout).await?;
        self.read(teller).await?;
        self.cancel(teller).await?;
        self.wait_for_the_end(teller).await
    }

    /// Nobody is known, and the gate is closed.
    async fn arrive(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        let Settings { page, account, .. } = self.settings;
        let front = self.buyer.get("/").await?;
        teller.tell("the front page, not signed in", &front, Verdict::of(front.status == 200, "200"))?;

        let seen = self.buyer.get(page).await?;
        teller.tell("a paid page, not signed in", &seen, Verdict::of(seen.leads_to("/login"), "303 → /login"))?;

        let told = headers(&self.buyer.get_with("/whoami", &FORGED).await?)?;
        let nothing = !told.to_string().contains("forged") && told["X-Entitlement-Account"].is_null();
        teller.tell("forged headers reach the site as", &told, Verdict::of(nothing, "no account, nothing forged"))?;

        let signed_in = sign_in(&mut self.buyer, account, page).await?;
        let verdict = Verdict::of(signed_in.leads_to(page), format!("303 → {page}"));
        teller.tell(&format!("signing in as {account}"), &signed_in, verdict)?;

        let seen = self.buyer.get(page).await?;
        let verdict = Verdict::of(seen.leads_to("/billing/pricing"), "303 → /billing/pricing");
        teller.tell(&format!("the paid page, signed in as {account}"), &seen, verdict)
    }

    /// A checkout is opened at the provider; a card that is declined opens nothing.
    async fn order(&mut self, teller: &mut Teller<'_>) -> Result<Page> {
        let Settings { page, tier, cadence, consent, .. } = self.settings;
        let mut order = json!({ "tier": tier, "cadence": cadence, "next": page });
        if let Some(consent) = consent {
            order["consent"] = json!(consent);
        }
        let answer = self.buyer.post_json("/api/billing/checkout", &order).await?;
        let url = self.provider_url_of(teller, &format!("ordering {tier}, {cadence}"), &answer)?;
        let checkout = self.buyer.get(&url).await?;
        teller.tell("the provider's checkout", &checkout, Verdict::of(checkout.status == 200, "200"))?;

        let declined = self.press(&checkout, "decline").await?;
        teller.tell("a card that is declined", &declined, Verdict::of(declined.status == 402, "402"))?;
        let seen = self.buyer.get(page).await?;
        let verdict = Verdict::of(seen.leads_to("/billing/pricing"), "303 → /billing/pricing");
        teller.tell("the paid page after that", &seen, verdict)?;
        Ok(checkout)
    }

    /// Paying leads back, and the first look at the page is not turned away.
    async fn pay(&mut self, teller: &mut Teller<'_>, checkout: &Page) -> Result<()> {
        let Settings { page, tier, .. } = self.settings;
        let paid = self.press(checkout, "pay").await?;
        let named = paid.location.as_ref().is_some_and(|location| location.contains("session_id=cs_"));
        let verdict = Verdict::of(paid.leads_to("/billing/return") && named, "303 → /billing/return?session_id=cs_…");
        teller.tell("paying", &paid, verdict)?;

        let back = self.buyer.get(paid.location.as_deref().unwrap_or_default()).await?;
        let verdict = Verdict::of(back.leads_to(page), format!("303 → {page}"));
        teller.tell("coming back from paying", &back, verdict)?;

        let seen = self.buyer.get(page).await?;
        let shows_tier = seen.body.contains(&format!("X-Entitlement-Tier</th><td>{tier}</td>"));
        let verdict = Verdict::of(seen.status == 200 && shows_tier, format!("200, showing the tier {tier}"));
        teller.tell("the paid page, on the first try", &seen, verdict)
    }

    /// What the site is told, and that nobody else gained from it.
    async fn read(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        let Settings { page, tier, account, other_account, .. } = self.settings;
        let told = headers(&self.buyer.get_with("/whoami", &FORGED).await?)?;
        let right = told["X-Entitlement-Account"] == json!(account)
            && told["X-Entitlement-Tier"] == json!(tier)
            && !told.to_string().contains("forged");
        let seen = format!("{} {}", shown(&told, "X-Entitlement-Account"), shown(&told, "X-Entitlement-Tier"));
        let verdict = Verdict::of(right, format!("{account} {tier}, nothing forged"));
        teller.tell("forged headers reach the site, signed in, as", seen, verdict)?;

        sign_in(&mut self.other, other_account, page).await?;
        self.stays_closed_for_the_other(teller).await
    }

    /// The subscription is ended in the portal: it lasts as long as was paid for.
    async fn cancel(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        let answer = self.buyer.post_json("/api/billing/portal", &json!({})).await?;
        let url = self.provider_url_of(teller, "asking for the provider's portal", &answer)?;
        let portal = self.buyer.get(&url).await?;
        let canceled = self.press(&portal, "cancel").await?;
        teller.tell("canceling there", &canceled, Verdict::of(canceled.status == 303, "303"))?;

        let deadline = Instant::now() + self.settings.patience;
        let status = loop {
            let told = headers(&self.buyer.get("/whoami").await?)?;
            let status = shown(&told, "X-Entitlement-Status");
            if status == "canceling" || Instant::now() >= deadline {
                break status;
            }
            sleep(LOOK_AGAIN).await;
        };
        teller.tell("the site is told the status", &status, Verdict::of(status == "canceling", "canceling"))?;
        let seen = self.buyer.get(&self.settings.page).await?;
        teller.tell("the paid page, canceled but paid for", &seen, Verdict::of(seen.status == 200, "200"))
    }

    /// The paid period passes, and the gate closes.
    async fn wait_for_the_end(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        let days = if self.settings.cadence == "monthly" { 32 } else { 400 };
        let advance = format!("{}/_control/advance", self.settings.provider_url.trim_end_matches('/'));
        let moved = self.buyer.post_json(&advance, &json!({ "days": days })).await?;
        let what = format!("the provider's clock, {days} days later");
        teller.tell(&what, moved.body.trim(), Verdict::of(moved.status == 200, "200"))?;

        let deadline = Instant::now() + self.settings.patience;
        let seen = loop {
            let seen = self.buyer.get(&self.settings.page).await?;
            if seen.status != 200 || Instant::now() >= deadline {
                break seen;
            }
            sleep(LOOK_AGAIN).await;
        };
        let verdict = Verdict::of(seen.leads_to("/billing/pricing"), "303 → /billing/pricing");
        teller.tell("the paid page, no longer paid for", &seen, verdict)?;
        self.stays_closed_for_the_other(teller).await
    }

    async fn stays_closed_for_the_other(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        let Settings { page, other_account, .. } = self.settings;
        let seen = self.other.get(page).await?;
        let verdict = Verdict::of(seen.leads_to("/billing/pricing"), "303 → /billing/pricing");
        teller.tell(&format!("the paid page, signed in as {other_account}"), &seen, verdict)
    }

    /// Presses a button of one of the provider's pages.
    async fn press(&mut self, page: &Page, action: &str) -> Result<Page> {
        let form = hosted::form(&page.body, action)
            .with_context(|| format!("the provider's page ({}) has no button for {action:?}", page.status))?;
        let provider = self.settings.provider_url.trim_end_matches('/');
        self.buyer.post_form(&format!("{provider}{}", form.target), &form.fields).await
    }

    /// The `url` of an answer, which must lead to the provider.
    fn provider_url_of(&self, teller: &mut Teller<'_>, what: &str, answer: &Page) -> Result<String> {
        let url = answer.json().ok().and_then(|body| body["url"].as_str().map(str::to_owned));
        let provider = self.settings.provider_url.trim_end_matches('/');
        let url = url.filter(|url| answer.status == 200 && url.starts_with(provider)).unwrap_or_default();
        let seen = if url.is_empty() { format!("{answer}: {}", answer.body.trim()) } else { format!("200, {url}") };
        teller.tell(what, seen, Verdict::of(!url.is_empty(), format!("200, a URL at {provider}")))?;
        Ok(url)
    }
}

async fn sign_in(browser: &mut Browser, account: &str, next: &str) -> Result<Page> {
    let fields = [("user", account), ("next", next)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    browser.post_form("/login", &fields).await
}

/// What `/whoami` says that the site received.
fn headers(page: &Page) -> Result<Value> {
    page.json().context("/whoami did not say what the site received")
}

/// A header as text; `none` when it did not come.
fn shown(headers: &Value, name: &str) -> String {
    headers[name].as_str().unwrap_or("none").to_owned()
}
