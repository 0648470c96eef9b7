//! Gets files: limits, retries, resume, proxies.
