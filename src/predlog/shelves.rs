//! Where the threads of requests lay down predictions: each thread its own, so that none waits for another, and the writer
//! takes all that lies there at once.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::bundle::{self, Bundle};
use super::record::Record;

/// More threads than that share shelves: whoever finds his in use goes the way of entries.
const SHELVES: usize = 32;
/// Forms of predictions that a shelf has bundles for; of others it takes none.
const MAX_FORMS: usize = 8;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The shelf of this thread, once it has one.
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The bundles of some threads, apart from the others in the caches.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shelf(Mutex<Vec<Bundle>>);

/// All of them.
#[derive(Debug)]
pub(super) struct Shelves {
    shelves: Vec<Shelf>,
    held: Held,
}

/// How many predictions, and what they weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// A load that all threads see, as one number: each prediction changes it, and waits for that.
#[derive(Debug, Default)]
struct Held(AtomicU64);

/// Of the number, the bits of the bytes; the others are the count's.
const BYTES_BITS: u32 = 40;
/// Bounds of what lies on shelves: half of what the number holds, for each thread adds before it asks whether there is room.
pub(super) const MOST: Load = Load {
    count: 1 << 23,
    bytes: 1 << 39,
};

impl Held {
    /// What it is with this.
    fn add(&self, load: Load) -> Load {
        let load = load.packed();
        Load::of(self.0.fetch_add(load, Ordering::Relaxed).wrapping_add(load))
    }

    fn sub(&self, load: Load) {
        self.0.fetch_sub(load.packed(), Ordering::Relaxed);
    }

    fn load(&self) -> Load {
        Load::of(self.0.load(Ordering::Relaxed))
    }
}

impl Load {
    fn packed(self) -> u64 {
        ((self.count as u64) << BYTES_BITS) + self.bytes as u64
    }

    fn of(packed: u64) -> Load {
        Load {
            count: (packed >> BYTES_BITS) as usize,
            bytes: (packed & ((1 << BYTES_BITS) - 1)) as usize,
        }
    }
}

/// What the writer took, shelf by shelf. Emptied bundles go back with the next taking.
#[derive(Debug, Default)]
pub(super) struct Taken(Vec<Vec<Bundle>>);

/// What became of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    Laid,
    /// It has to go as an entry.
    NotPlain,
    /// There is no room for it.
    NoRoom,
}

impl Default for Shelves {
    fn default() -> Shelves {
        Shelves {
            shelves: (0..SHELVES).map(|_| Shelf::default()).collect(),
            held: Held::default(),
        }
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Vec<Bundle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<Bundle>>> {
        match self.0.try_lock() {
            Ok(bundles) => Some(bundles),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Shelves {
    /// Predictions that lie here.
    pub(super) fn waiting(&self) -> usize {
        self.held.load().count
    }

    /// What weighs what lies here, and what was taken and is not [released](Shelves::release).
    pub(super) fn bytes(&self) -> usize {
        self.held.load().bytes
    }

    /// Lays a prediction down, if it is plain and there is room for it and what lies here already. Neither blocks nor wakes
    /// anybody.
    pub(super) fn offer(&self, record: &Record, has_room: impl FnOnce(Load) -> bool) -> Offered {
        let Some(plain) = bundle::plain(record) else {
            return Offered::NotPlain;
        };
        // The writer may have it, at a lower priority than this thread's.
        let Some(mut bundles) = self.mine().and_then(Shelf::try_lock) else {
            return Offered::NotPlain;
        };
        let known = bundles
            .iter_mut()
            .position(|bundle| bundle.lay(record, plain.rows));
        let known = known.or_else(|| {
            let mut new = (bundles.len() < MAX_FORMS).then(|| Bundle::of(record))??;
            new.lay(record, plain.rows).then(|| bundles.push(new))?;
            Some(bundles.len() - 1)
        });
        let Some(bundle) = known.and_then(|at| bundles.get_mut(at)) else {
            return Offered::NotPlain;
        };
        let one = Load {
            count: 1,
            bytes: bundle.weight_of(plain),
        };
        bundle.push(record, plain);
        // While nobody can take it yet: what is taken has been counted. After all of it was written, for what was written lies
        // in lines that are no longer in the caches, and to count it waits for them: for both at once.
        if !has_room(self.held.add(one)) {
            bundle.take_back(plain);
            self.held.sub(one);
            return Offered::NoRoom;
        }
        Offered::Laid
    }

    fn mine(&self) -> Option<&Shelf> {
        let mine = MINE.get();
        let mine = if mine == usize::MAX {
            let next = NEXT.fetch_add(1, Ordering::Relaxed) % SHELVES;
            MINE.set(next);
            next
        } else {
            mine
        };
        self.shelves.get(mine)
    }

    /// Takes all that lies here for what was taken before, which is empty; says what it weighs until it is released.
    pub(super) fn take(&self, taken: &mut Taken) -> usize {
        taken.0.resize_with(SHELVES, Vec::new);
        for (shelf, taken) in self.shelves.iter().zip(&mut taken.0) {
            let mut bundles = shelf.lock();
            if bundles.iter().any(|bundle| !bundle.is_empty()) {
                std::mem::swap(&mut *bundles, taken);
            }
        }
        self.held.sub(Load {
            count: taken.len(),
            bytes: 0,
        });
        taken.bundles().map(Bundle::weight).sum()
    }

    /// Says that so many bytes of what was taken are no longer there.
    pub(super) fn release(&self, bytes: usize) {
        self.held.sub(Load { count: 0, bytes });
    }

    /// Throws away all that lies here; says how many predictions that is.
    pub(super) fn empty(&self) -> u64 {
        let mut taken = Taken::default();
        let weight = self.take(&mut taken);
        self.release(weight);
        taken.len() as u64
    }
}

impl Taken {
    /// Those that have predictions.
    pub(super) fn bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.0.iter().flatten().filter(|bundle| !bundle.is_empty())
    }

    /// Number of predictions.
    pub(super) fn len(&self) -> usize {
        self.bundles().map(Bundle::len).sum()
    }

    /// Empties the bundles; those that nobody used since the last time go.
    pub(super) fn clear(&mut self) {
        for bundles in &mut self.0 {
            bundles.retain(|bundle| !bundle.is_empty());
            bundles.iter_mut().for_each(Bundle::clear);
        }
    }
}
