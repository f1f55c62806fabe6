//! A table of accounts, as CSV: what can be read of it, line by line, and what contradicts itself.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use billing::{ImportRow, RefusedRow};
use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use csv::ByteRecord;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;

use super::lines::{Record, records};
use crate::commands::{moment, parts};

/// Longest row, in bytes: all columns together have less than 2 KiB.
const ROW_BYTES_MAX: usize = 64 * 1024;

/// Longest id of a customer, in bytes.
const CUSTOMER_BYTES_MAX: usize = 255;

/// Shortest and longest referral code.
const CODE_BYTES: std::ops::RangeInclusive<usize> = 4..=32;

/// Latest year of a moment: what has five digits is written in another way everywhere.
const YEAR_MAX: i32 = 9999;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Account,
    Customer(Provider),
    CreditUntil,
    TrialUsedAt,
    ReferralCode,
    ReferredBy,
}

/// All columns, by their names.
const COLUMNS: [(&str, Column); 7] = [
    ("account", Column::Account),
    ("stripe_customer", Column::Customer(Provider::Stripe)),
    ("polar_customer", Column::Customer(Provider::Polar)),
    ("credit_until", Column::CreditUntil),
    ("trial_used_at", Column::TrialUsedAt),
    ("referral_code", Column::ReferralCode),
    ("referred_by", Column::ReferredBy),
];

/// Rows that can be taken over, and those that cannot.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    pub rows: Vec<ImportRow>,
    /// Rows whose account was not filled in, of a table of customers that nobody links.
    pub unfilled: u64,
    pub refused: Vec<RefusedRow>,
}

/// Reads a table. A row that cannot be read, or contradicts one above it, is refused; what one repeats is left out of it. Behind a quote that
/// is not closed nothing is read.
///
/// # Errors
/// When the first line does not name the columns.
pub fn read(bytes: &[u8]) -> Result<Sheet> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        bail!("it is UTF-16: save it as UTF-8");
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut columns = None;
    let (mut sheet, mut told) = (Sheet::default(), Told::default());
    for (line, record) in records(bytes) {
        let record = fields(record);
        let Some(columns) = &columns else {
            let header = record.map_err(anyhow::Error::msg).and_then(|record| header(&record));
            columns = Some(header.with_context(|| format!("line {line}"))?);
            continue;
        };
        let row = record.map_err(|why| (None, why)).and_then(|record| row(line, &record, columns));
        let row = row.and_then(|row| {
            let row = row.map(|row| told.without_repetitions(row)).transpose();
            row.map_err(|(account, why)| (Some(account), why))
        });
        match row {
            Ok(Some(row)) => sheet.rows.push(row),
            Ok(None) => sheet.unfilled += 1,
            Err((account, why)) => sheet.refused.push(RefusedRow { line, account, field: None, why }),
        }
    }
    if columns.is_none() {
        bail!("it is empty: the first line names the columns, such as account,stripe_customer");
    }
    Ok(sheet)
}

/// The fields of a record that stands on one line: no field has a line break.
fn fields(record: Record<'_>) -> Result<ByteRecord, String> {
    let line = match record {
        Record::Whole(line) if line.len() > ROW_BYTES_MAX => return Err("it is longer than 64 KiB".to_owned()),
        Record::Whole(line) => line,
        Record::Broken => {
            return Err("a field in quotes goes on in the next line, and no field has a line break".to_owned());
        }
        Record::Trailing => return Err("text stands behind a quote that ends a field".to_owned()),
        Record::Open => {
            return Err("a quote that is opened on it is not closed: nothing behind it is read".to_owned());
        }
    };
    if !line.contains(&b'"') {
        return Ok(line.split(|byte| *byte == b',').collect());
    }
    let mut fields = ByteRecord::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    reader.read_byte_record(&mut fields).map_err(|error| format!("it is no CSV: {error}"))?;
    Ok(fields)
}

fn header(record: &ByteRecord) -> Result<Vec<Column>> {
    let known = || COLUMNS.map(|(name, _)| name).join(", ");
    let mut columns = Vec::new();
    for name in record {
        let name = std::str::from_utf8(name).context("it is not UTF-8: save it as UTF-8")?.trim();
        let Some((_, column)) = COLUMNS.iter().find(|(known, _)| *known == name) else {
            let shown: String = name.chars().take(100).collect();
            bail!(
                "the column \"{}\" is not known: the columns are {}, with commas between them",
                shown.escape_debug(),
                known()
            );
        };
        if columns.contains(column) {
            bail!("the column {name} is there twice");
        }
        columns.push(*column);
    }
    if !columns.contains(&Column::Account) {
        bail!("there is no column account: the columns are {}", known());
    }
    Ok(columns)
}

type Refused = (Option<AccountId>, String);

/// A row; none where no account stands beside its customers, and nothing else either.
fn row(line: u64, record: &ByteRecord, columns: &[Column]) -> Result<Option<ImportRow>, Refused> {
    let nameless = |why: String| (None, why);
    if record.len() != columns.len() {
        let (has, wanted) = (record.len(), columns.len());
        return Err(nameless(format!(
            "it has {has} fields, and the first line names {wanted} columns: is a quote missing?"
        )));
    }
    let mut fields = Vec::new();
    for (field, column) in record.iter().zip(columns) {
        let text = std::str::from_utf8(field).map_err(|_| nameless("it is not UTF-8".to_owned()))?;
        fields.push((*column, text));
    }
    let account = fields.iter().find(|(column, _)| *column == Column::Account).map_or("", |(_, text)| text);
    let is_customer = |(column, text): &(Column, &str)| text.is_empty() || matches!(column, Column::Customer(_));
    if account.is_empty() && fields.iter().all(is_customer) {
        return Ok(None);
    }
    let account = AccountId::parse(account).map_err(|error| nameless(format!("account: {error}")))?;
    let mut row = ImportRow {
        line,
        account,
        customers: Vec::new(),
        credit_until: None,
        trial_used_at: None,
        referral_code: None,
        referred_by: None,
    };
    for (column, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
        let name = COLUMNS.iter().find(|(_, known)| *known == column).map_or("", |(name, _)| name);
        set(&mut row, column, text).map_err(|why| (Some(row.account.clone()), format!("{name}: {why}")))?;
    }
    Ok(Some(row))
}

fn set(row: &mut ImportRow, column: Column, text: &str) -> Result<(), String> {
    match column {
        Column::Account => {}
        Column::Customer(provider) => {
            if text.len() > CUSTOMER_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err("that is not the id of a customer".to_owned());
            }
            row.customers.push((provider, text.to_owned()));
        }
        Column::CreditUntil => row.credit_until = Some(instant(text)?),
        Column::TrialUsedAt => {
            let at = instant(text)?;
            if at > parts::now() {
                return Err("it lies in the future".to_owned());
            }
            row.trial_used_at = Some(at);
        }
        Column::ReferralCode => {
            let code = text.to_ascii_lowercase();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if !CODE_BYTES.contains(&code.len()) || !code.bytes().all(is_plain) {
                return Err("a code has 4 to 32 letters, digits, - or _".to_owned());
            }
            row.referral_code = Some(code);
        }
        Column::ReferredBy => {
            AccountId::parse(text).map_err(|error| error.to_string())?;
            row.referred_by = Some(text.to_owned());
        }
    }
    Ok(())
}

/// A moment as commands take it, or as databases write it; without a zone it is UTC.
fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let written = |format: &str| DateTime::parse_from_str(text, format).ok().map(|at| at.to_utc());
    let naive = |format: &str| NaiveDateTime::parse_from_str(text, format).ok().map(|at| at.and_utc());
    let at = moment::moment(text).ok();
    let at = at.or_else(|| written("%Y-%m-%d %H:%M:%S%.f%#z")).or_else(|| naive("%Y-%m-%d %H:%M:%S%.f"));
    let at = at.or_else(|| naive("%Y-%m-%dT%H:%M:%S%.f"));
    let at = at.filter(|at| (1970..=YEAR_MAX).contains(&at.year()));
    let at = at.ok_or_else(|| {
        "write it like 2027-01-31, which is midnight in UTC, or like 2027-01-31T09:30:00Z or 2027-01-31 09:30:00+00"
            .to_owned()
    })?;
    // The precision that the database keeps.
    DateTime::from_timestamp_micros(at.timestamp_micros()).ok_or_else(|| "that is no moment".to_owned())
}

/// The values of the rows so far, with their lines.
#[derive(Default)]
struct Told {
    customers: HashMap<(Provider, String), (AccountId, u64)>,
    codes: HashMap<String, (AccountId, u64)>,
    accounts: HashMap<AccountId, Before>,
}

/// The values of the rows so far for an account.
#[derive(Default)]
struct Before {
    credit_until: Option<(DateTime<Utc>, u64)>,
    trial_used_at: Option<(DateTime<Utc>, u64)>,
    referral_code: Option<(String, u64)>,
    referred_by: Option<(String, u64)>,
}

impl Told {
    /// The row without what is said above it already; nothing of it counts when it contradicts that.
    fn without_repetitions(&mut self, row: ImportRow) -> Result<ImportRow, (AccountId, String)> {
        let (account, line) = (row.account.clone(), row.line);
        self.checked(row).map_err(|why| (account.clone(), why)).inspect(|row| {
            let before = self.accounts.entry(account.clone()).or_default();
            let ImportRow { credit_until, trial_used_at, referral_code, referred_by, customers, .. } = row;
            note(&mut before.credit_until, credit_until.as_ref(), line);
            note(&mut before.trial_used_at, trial_used_at.as_ref(), line);
            note(&mut before.referral_code, referral_code.as_ref(), line);
            note(&mut before.referred_by, referred_by.as_ref(), line);
            let named = || (account.clone(), line);
            self.codes.extend(referral_code.iter().map(|code| (code.clone(), named())));
            self.customers.extend(customers.iter().map(|customer| (customer.clone(), named())));
        })
    }

    fn checked(&self, mut row: ImportRow) -> Result<ImportRow, String> {
        let account = &row.account;
        let whose = |(owner, line): &(AccountId, u64), what: &str| {
            if owner == account { Ok(false) } else { Err(format!("line {line} says that {what} is {owner}'s")) }
        };
        let mut customers = Vec::new();
        for customer in row.customers {
            let known = self.customers.get(&customer);
            if known.map_or(Ok(true), |known| whose(known, &format!("the customer {}", customer.1)))? {
                customers.push(customer);
            }
        }
        row.customers = customers;
        if let (Some(code), Some(before)) =
            (&row.referral_code, row.referral_code.as_ref().and_then(|it| self.codes.get(it)))
        {
            whose(before, &format!("the code {code}"))?;
        }
        if let Some(before) = self.accounts.get(account) {
            row.credit_until = new(row.credit_until, before.credit_until.as_ref(), "credit_until")?;
            row.trial_used_at = new(row.trial_used_at, before.trial_used_at.as_ref(), "trial_used_at")?;
            row.referral_code = new(row.referral_code, before.referral_code.as_ref(), "referral_code")?;
            row.referred_by = new(row.referred_by, before.referred_by.as_ref(), "referred_by")?;
        }
        Ok(row)
    }
}

fn note<T: Clone>(place: &mut Option<(T, u64)>, told: Option<&T>, line: u64) {
    if let Some(told) = told {
        *place = Some((told.clone(), line));
    }
}

/// The value of a field, unless an earlier row has it.
fn new<T: PartialEq>(told: Option<T>, before: Option<&(T, u64)>, what: &str) -> Result<Option<T>, String> {
    match (told, before) {
        (Some(told), Some((known, _))) if told == *known => Ok(None),
        (Some(_), Some((_, line))) => Err(format!("line {line} says another {what}")),
        (told, _) => Ok(told),
    }
}
