//! s
#![allow(missing_docs)]
use crate::model::uri::ModelUri;
use crate::model::version::VersionId;
pub struct Loc(String);
impl Loc {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
pub struct Resolved {
    pub id: VersionId,
    pub location: Loc,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct RegistryError;
#[async_trait::async_trait]
pub trait Registry: Send + Sync {
    async fn resolve(&self, uri: &ModelUri) -> Result<Resolved, RegistryError>;
}
pub fn open(_s: &str) -> Result<Box<dyn Registry>, RegistryError> {
    Err(RegistryError)
}
