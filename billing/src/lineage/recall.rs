//! The records that proxies know of the database whose place this one takes, and Redis may have lost: they are put there again, where all that is held
//! stands.

use entitlement::record::{self, Record};

use super::Word;
use crate::component::Billing;
use crate::publish::PublishError;

impl Billing {
    /// Takes in records of databases whose records are held, as they were told before; others, and texts that are none, are left out.
    /// Where this process does not know of the hold yet, it looks first.
    ///
    /// # Errors
    /// When it is not known yet whose records are held, or the cache fails.
    pub async fn put_back(&self, records: &[String]) -> Result<(), PublishError> {
        let records: Vec<Record> = records.iter().filter_map(|text| record::decode(text).ok()).collect();
        let mut known = self.lineage();
        if records.iter().any(|record| !known.held().contains(&record.database)) {
            known = self.look().await?;
        }
        if known.word == Word::Unknown {
            return Err(PublishError::Unknown);
        }
        for record in records.into_iter().filter(|record| known.held().contains(&record.database)) {
            self.shared().outlets.put_back(&record).await?;
        }
        Ok(())
    }
}
