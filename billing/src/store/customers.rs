//! Queries of selling about customers. Linking a customer to its account is in `accounts`.
