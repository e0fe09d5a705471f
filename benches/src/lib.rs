//! What inferometer costs, beside its peers.
//!
//! - `cargo run --release -p inferometer-benches --bin figures` measures the figures of the design and compares them with
//!   their goals. `--json` prints them for a program, `--check` fails when one is missed by far or a peer is
//!   better. With `--profile release-fat-lto` instead of `--release` the whole program is optimised as one.
//! - `cargo run --release -p inferometer-benches --bin overhead` measures what `docs/overhead.md` shows: how short
//!   a decode step may be, that timing stays inside its budget, and that the crate's own account of its cost is right.
//! - `cargo run --release -p inferometer-benches --bin compare` measures what `docs/compare.md` shows: the figures again,
//!   what each library does, tried out, and what it keeps when nobody scrapes.
//! - `cargo bench -p inferometer-benches --bench record` (and `cold`) has every record operation beside the peers.
//! - `cargo bench -p inferometer-benches --bench instructions` counts instructions under Valgrind: exact and repeatable,
//!   where a shared machine's clock is neither.
//!
//! What recording costs an engine, end to end, is measured by the engine's own benches (`examples/engine/benches`), with
//! the clocks and the statistics of this crate. They need none of the peers, so those are behind the feature `peers`.
//!
//! # What keeps the optimiser honest
//!
//! A handle reaches its loop through [`std::hint::black_box`], by reference, and the loop stands in a function that is
//! not inlined: so no compiler, not even with LTO over the whole program, can see which series a handle belongs to. A
//! record is made of relaxed atomic loads and stores, which LLVM neither merges nor moves out of loops. Histogram
//! inputs come from a table in memory that is filled at run time.
//!
//! That this works is seen in the disassembly (`objdump -d --no-show-raw-insn -M intel target/release/figures`, rustc
//! 1.95, x86-64, release profile). One record of the literal call site, `contests::counter::call_site`:
//!
//! ```text
//! mov    edi,DWORD PTR [rip+0x1061a2]   the site's slot
//! mov    ecx,edi
//! shr    ecx,0x1b                       the number of its chunk
//! mov    rcx,QWORD PTR [rax+rcx*8]      the chunk, from the thread's table
//! test   rcx,rcx
//! je     (cold path)
//! and    edi,0x7ffffff                  the cell in the chunk
//! inc    QWORD PTR [rcx+rdi*8]          the record
//! dec    rbx
//! jne    (again)
//! ```
//!
//! One record of the declared histogram, `contests::histogram::observe_declared`:
//!
//! ```text
//! mov    rcx,QWORD PTR [r14]            the duration: seconds
//! mov    edx,DWORD PTR [r14+0x8]        and nanoseconds
//! imul   rax,rcx,0x3b9aca00
//! add    rax,rdx                        the value
//! cmp    rcx,0x44b83                    too long a duration stays too long
//! cmovae rax,rbp
//! mov    esi,DWORD PTR [r13+0x28]       the slot, and from it the chunk, as above
//! mov    ecx,esi
//! shr    ecx,0x1b
//! mov    rcx,QWORD PTR [r12+rcx*8]
//! mov    edi,DWORD PTR [r13+0x2c]       the table's first position
//! test   rcx,rcx
//! je     (cold path)
//! xorps  xmm0,xmm0
//! cvtsi2sd xmm0,rax                     the value as a float
//! movq   rdx,xmm0
//! shr    rdx,0x30                       its exponent and four bits more
//! sub    edx,edi
//! mov    edi,DWORD PTR [r13+0x30]       the table's length
//! cmp    edx,edi
//! jae    (cold path)
//! mov    rdi,QWORD PTR [r13+0x18]       the table
//! mov    edx,edx
//! shl    rdx,0x4
//! mov    r8,rax
//! shl    r8,0x10
//! mov    r9,QWORD PTR [rdi+rdx*1]       the entry's first word
//! xor    r10d,r10d
//! cmp    r8,r9
//! seta   r10b
//! movzx  r9d,r9w
//! xor    r11d,r11d
//! cmp    r8,QWORD PTR [rdi+rdx*1+0x8]   and its second
//! seta   r11b
//! and    esi,0x7ffffff
//! lea    rdx,[rcx+rsi*8]
//! add    QWORD PTR [rcx+rsi*8],rax      the sum
//! lea    rax,[rdx+r9*8]
//! lea    rax,[rax+r10*8]
//! inc    QWORD PTR [rax+r11*8+0x8]      the bucket
//! add    r14,0x10
//! cmp    r14,r15
//! jne    (again)
//! ```
//!
//! # Noise
//!
//! The contestants of a row take turns in batches of a fraction of a millisecond, and a row reports for each the tenth
//! of its batches that nobody disturbed ([`timing::Timing::quiet`]). What disturbs one disturbs all, so ratios are
//! steadier than times.

pub mod allocations;
#[cfg(feature = "peers")]
pub mod compare;
#[cfg(feature = "peers")]
pub mod contests;
pub mod cpu_clock;
pub mod inputs;
#[cfg(feature = "peers")]
pub mod library;
pub mod machine;
pub mod paired;
pub mod pin;
#[cfg(feature = "peers")]
pub mod proof;
pub mod reckoned;
pub mod records;
#[cfg(feature = "peers")]
pub mod rows;
pub mod timing;
#[cfg(feature = "peers")]
pub mod workload;
