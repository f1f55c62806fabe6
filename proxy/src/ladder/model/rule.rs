//! The rules of the protocol that the model plays itself, each of which can be left out: then something must break, or the
//! model would not notice its loss.

/// A rule of those around the proxies, or of how a proxy learns of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Redis stores only what is newer.
    SetIfNewer,
    /// What a fill has stored already is pushed all the same.
    PushWhatIsKnown,
    /// Whoever has filled looks whether it was outdated.
    VerifyFills,
    /// What was told is stored again after a failover.
    StoreAgain,
    /// Billing says when the cache could not be told of something.
    TellOfBacklog,
    /// A channel that is lost ends the epoch.
    NoticeLoss,
    /// A channel that is silent is lost.
    NoticeSilence,
    /// What is pushed is taken in.
    TakePushesIn,
    /// Nothing is believed for longer than the bound.
    KeepTheBound,
}

impl Rule {
    pub(super) const ALL: [Self; 9] = [
        Self::SetIfNewer,
        Self::PushWhatIsKnown,
        Self::VerifyFills,
        Self::StoreAgain,
        Self::TellOfBacklog,
        Self::NoticeLoss,
        Self::NoticeSilence,
        Self::TakePushesIn,
        Self::KeepTheBound,
    ];
}
