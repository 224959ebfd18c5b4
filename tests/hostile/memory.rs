//! How much memory a piece of work takes: an allocator that counts for each thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Adds to what the thread has. A thread that is ending counts no more.
fn add(bytes: isize) {
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: all memory comes from the system's allocator, with the layouts that were asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // Old and new may be there at the same time.
        add(bytes as isize);
        add(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `realloc`, which is the same.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

/// Does something on this thread, and gives the most bytes that it had from the allocator at any one time.
pub fn peak_bytes<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = LIVE.get();
    PEAK.set(before);
    let done = work();
    (done, u64::try_from(PEAK.get() - before).unwrap_or_default())
}

#[test]
fn what_is_taken_and_given_back_is_seen() {
    let (kept, peak) = peak_bytes(|| {
        drop(std::hint::black_box(vec![1_u8; 5 << 20]));
        let mut grown = vec![1_u8; 1 << 20];
        grown.extend_from_slice(&[2; 64]);
        grown
    });
    assert!(kept.len() > 1 << 20);
    assert!((5 << 20..6 << 20).contains(&peak), "{peak}");
    // Growing takes the old and the new.
    let (_, peak) = peak_bytes(|| {
        let mut grown = Vec::with_capacity(4 << 20);
        grown.resize(4 << 20, 1_u8);
        grown.push(1);
        std::hint::black_box(grown)
    });
    assert!(peak >= 12 << 20, "{peak}");
}
