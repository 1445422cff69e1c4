//! Where the call under way came from: for what the product keeps of its callers, however deep inside the call that is.

use std::net::IpAddr;

tokio::task_local! {
    /// The address of one call's caller.
    static ADDRESS: Option<IpAddr>;
}

/// Does a piece of work as a call from `address`.
pub async fn calling_from<T>(address: Option<IpAddr>, work: impl Future<Output = T>) -> T {
    ADDRESS.scope(address, work).await
}

/// The caller's address; none where the work belongs to no call, or where nobody knows.
#[must_use]
pub fn address() -> Option<IpAddr> {
    ADDRESS.try_with(|address| *address).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_knows_its_own_caller() {
        let from = IpAddr::from([10, 0, 0, 7]);
        assert_eq!(
            calling_from(Some(from), async { address() }).await,
            Some(from)
        );
        assert_eq!(address(), None);
    }
}
