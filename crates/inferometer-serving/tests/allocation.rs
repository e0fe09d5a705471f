//! What allocates: nothing from a request's arrival to its end.

use inferometer::Registry;
use inferometer_serving::{
    CacheTier, ErrorType, FinishReason, KvBlocks, RejectReason, RequestTracker, ServingMetrics, Stage,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged. Counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn neither_steps_nor_the_ends_of_requests_allocate() {
    let metrics = ServingMetrics::builder("llama").registry(&Registry::new()).register().unwrap();
    let mut recorder = metrics.step_recorder();
    let mut round = |requests: &mut Vec<RequestTracker>| {
        let now = Instant::now();
        recorder.wake(now);
        for _ in 0..8 {
            let mut request = metrics.request(now);
            request.prompt_tokens(100);
            request.cached_prompt_tokens(CacheTier::Device, 16);
            request.scheduled(now);
            requests.push(request);
        }
        for first in [true, false, false] {
            drop(recorder.stage(Stage::Forward));
            recorder.set_kv_blocks(KvBlocks { used: 10, free: 80, cached: 10 });
            recorder.step(Instant::now(), |step| {
                for request in requests.iter_mut() {
                    if first {
                        step.prefill(84);
                    }
                    step.tokens(request, 1);
                }
                step.speculated(4, 3);
            });
        }
        requests[0].preempted();
        for (i, request) in requests.drain(..).enumerate() {
            match i {
                0 => drop(request),
                1 => request.error(ErrorType::Internal, Instant::now()),
                2 => request.rejected(RejectReason::QueueFull, Instant::now()),
                _ => request.finished(FinishReason::Stop, Instant::now()),
            }
        }
    };
    let mut requests = Vec::with_capacity(8);
    // A thread's first touch of its cells.
    round(&mut requests);
    assert_eq!(allocations(|| (0..100).for_each(|_| round(&mut requests))), 0);
}
