use inferometer::{LabelSet, LabelValue};

#[derive(LabelSet)]
struct Batch {
    size: Size,
}

struct Size(usize);

#[derive(LabelValue)]
enum Phase {
    Prefill { tokens: usize },
}

fn main() {}
