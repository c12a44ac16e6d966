//! Futures that seldom have something to say, beside one that is polled all the time.
//!
//! A task is woken for any of the futures in it and has to poll all of them, since it cannot know whose turn it is. Here
//! the seldom ones wake the task through a bell of their own, so that they are polled only when it has rung.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// Tells whether it was rung.
#[derive(Default)]
pub(super) struct Bell(Option<(Arc<Rung>, Waker)>);

struct Rung {
    since: AtomicBool,
    task: Waker,
}

impl Wake for Rung {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.since.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Bell {
    /// What to poll the seldom futures with, if they are to be polled: the first time, once the bell has rung, and in
    /// another task than before.
    pub(super) fn rung(&mut self, task: &Waker) -> Option<&Waker> {
        let known = self.0.as_ref().filter(|(rung, _)| rung.task.will_wake(task));
        if let Some((rung, _)) = known {
            // Read before it is written: mostly it is not rung, and a write is dear.
            if !rung.since.load(Ordering::Relaxed) || !rung.since.swap(false, Ordering::Acquire) {
                return None;
            }
        } else {
            let rung = Arc::new(Rung {
                since: AtomicBool::new(false),
                task: task.clone(),
            });
            self.0 = Some((Arc::clone(&rung), Waker::from(rung)));
        }
        self.0.as_ref().map(|(_, waker)| waker)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_a_rung_bell_and_another_task_call_for_a_poll() {
        let woken = Arc::new(Woken::default());
        let task = Waker::from(Arc::clone(&woken));
        let mut bell = Bell::default();
        let own = bell.rung(&task).unwrap().clone();
        assert!(bell.rung(&task).is_none());
        own.wake_by_ref();
        own.wake_by_ref();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert!(bell.rung(&task).is_some());
        assert!(bell.rung(&task).is_none());
        let other = Waker::from(Arc::new(Woken::default()));
        assert!(bell.rung(&other).is_some());
        assert!(bell.rung(&other).is_none());
    }
}
