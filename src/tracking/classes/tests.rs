//! Who asks for the names of classes, and how often.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::*;
use crate::model::version::VersionId;
use crate::registry::{self, DirRegistry, RegistryError, Resolved, Selector};

/// An embedded registry whose questions are counted, and wait until they are let through.
struct Slow {
    registry: DirRegistry,
    asked: AtomicUsize,
    let_through: Semaphore,
}

#[async_trait]
impl Registry for Slow {
    fn name(&self) -> &str {
        self.registry.name()
    }

    async fn wanted(&self, uris: &[ModelUri]) -> Vec<Result<Wanted, RegistryError>> {
        self.registry.wanted(uris).await
    }

    async fn all(&self, selector: &Selector) -> Result<Vec<Wanted>, RegistryError> {
        self.registry.all(selector).await
    }

    async fn locate(&self, uri: &ModelUri, wanted: &Wanted) -> Result<Resolved, RegistryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _turn = self.let_through.acquire().await.unwrap();
        self.registry.locate(uri, wanted).await
    }

    async fn tag(&self, id: &VersionId, tags: &[(&str, &str)]) -> Result<(), RegistryError> {
        self.registry.tag(id, tags).await
    }

    fn folder(&self) -> Option<&Path> {
        self.registry.folder()
    }
}

#[tokio::test]
async fn all_who_wait_for_the_names_of_a_version_share_one_question() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("iris");
    std::fs::create_dir_all(model.join("1")).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/iris");
    for file in ["registry.yaml", "1/MLmodel", "1/model.onnx"] {
        std::fs::copy(from.join(file), model.join(file)).unwrap();
    }
    let slow = Arc::new(Slow {
        registry: registry::embedded(folder.path()),
        asked: AtomicUsize::new(0),
        let_through: Semaphore::new(0),
    });
    let uri = "models:/iris/1".parse().unwrap();
    let wanted = registry::wanted(&*slow, &uri).await.unwrap();
    slow.tag(&wanted.id, &[(TAG, "a, b, c")]).await.unwrap();
    let names = ClassNames::new(Arc::clone(&slow) as Arc<dyn Registry>);
    // One who gives up leaves the question to the others.
    assert!(
        timeout(Duration::from_millis(1), names.of(&wanted))
            .await
            .is_err()
    );
    assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (names, wanted) = (names.clone(), wanted.clone());
            tokio::spawn(async move { names.of(&wanted).await })
        })
        .collect();
    while slow.asked.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    slow.let_through.add_permits(1);
    let wanted_names = Classes::of_tag("a, b, c").map(Arc::new);
    assert!(wanted_names.is_some());
    for waits in waiting {
        assert_eq!(waits.await.unwrap(), wanted_names);
    }
    assert_eq!(names.of(&wanted).await, wanted_names);
    assert_eq!(slow.asked.load(Ordering::SeqCst), 2);
}
