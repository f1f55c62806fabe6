//! Selling: from a wish to a checkout.
