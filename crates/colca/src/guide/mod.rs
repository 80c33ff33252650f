//! How to do things, a page for each task. The examples are compiled and run with the tests.

#[doc = include_str!("reading_and_splitting.md")]
pub mod reading_and_splitting {}

#[doc = include_str!("save_and_load.md")]
pub mod save_and_load {}

#[doc = include_str!("storage_services.md")]
pub mod storage_services {}

#[doc = include_str!("amazon_s3.md")]
pub mod amazon_s3 {}

#[doc = include_str!("cloudflare_r2.md")]
pub mod cloudflare_r2 {}

#[doc = include_str!("google_cloud_storage.md")]
pub mod google_cloud_storage {}

#[doc = include_str!("azure_blob_storage.md")]
pub mod azure_blob_storage {}

#[doc = include_str!("several_indexes.md")]
pub mod several_indexes {}

#[doc = include_str!("customizing_stores.md")]
pub mod customizing_stores {}

#[doc = include_str!("ingestion.md")]
pub mod ingestion {}

#[doc = include_str!("updating_documents.md")]
pub mod updating_documents {}

#[doc = include_str!("querying.md")]
pub mod querying {}

#[doc = include_str!("models.md")]
pub mod models {}
