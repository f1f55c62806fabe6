//! docs/migrate.md, followed word by word by a newcomer in an empty directory.

use std::path::Path;
use std::process::Stdio;

use demo::provider::{NewCustomer, Subscribe};

use super::journey::made;
use super::{Beginning, LIMIT};
use crate::world::tollgate::BINARY;

/// The commands of the steps that take over what exists, but for the variables that have other values here.
fn commands() -> String {
    let document = include_str!("../../docs/migrate.md");
    let (_, steps) = document.split_once("\n## 1. ").expect("it begins");
    let (steps, _) = steps.split_once("\n## 4. ").expect("it ends");
    let blocks = steps.split("```sh\n").skip(1).filter_map(|block| block.split_once("```"));
    let lines = blocks.flat_map(|(block, _)| block.lines()).filter(|line| !line.starts_with("export "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn each_command_of_the_page_works_as_it_stands() {
    let beginning = Beginning::new().await;
    let product = made(&beginning, "products", &[("name", "Reader Monthly")]).await;
    let terms = [("currency", "gbp"), ("unit_amount", "700"), ("recurring[interval]", "month"), ("product", &product)];
    let price = made(&beginning, "prices", &terms).await;
    let customer = beginning.provider.create_customer(NewCustomer::default()).expect("there is room");
    let sold = Subscribe { customer: customer.clone(), price, ..Subscribe::default() };
    beginning.provider.subscribe(sold).expect("it begins");
    let query = format!("select 'ada' as account, '{customer}' as stripe_customer");
    // Where the site's own table is asked from: the directory that `init` makes.
    let place = beginning.dir().join("read.example");
    std::fs::create_dir(&place).expect("it is new");
    std::fs::write(place.join("accounts.sql"), query).expect("written");

    let settings: String = beginning.settings().iter().map(|setting| format!(" --set '{setting}'")).collect();
    let init = "tollgate init read.example";
    let script = commands().replacen(init, &format!("{init} --yes{settings}"), 1);
    let tail = "tollgate explain account ada --json | jq -r '.segments[] | select(.holds) | .tier'";
    let mut shell = tokio::process::Command::new("sh");
    let paths = std::env::var("PATH").unwrap_or_default();
    let own = Path::new(BINARY).parent().expect("it has a directory").display().to_string();
    shell.env_clear().env("PATH", format!("{own}:{paths}")).envs(beginning.environment());
    // The one line that a person edits: the route's tier.
    shell.env("EDITOR", "sed -i s/\"paid\"/\"reader_monthly\"/").env("SITE_DATABASE_URL", &beginning.database.url);
    shell
        .args(["-euc", &format!("{script}{tail}")])
        .current_dir(beginning.dir())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, shell.output()).await.expect("it ends").expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{script}\n{stdout}\n{stderr}");
    assert_eq!(stdout.lines().last(), Some("reader_monthly"), "{stdout}\n{stderr}");
}
