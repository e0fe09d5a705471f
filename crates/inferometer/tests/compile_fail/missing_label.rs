use inferometer::{Counter, Family, LabelSet, metric};

#[derive(LabelSet)]
struct Outcome<'a> {
    model_name: &'a str,
    status: &'a str,
}

/// Requests.
#[metric(name = "requests_total")]
static REQUESTS: Family<Outcome, Counter> = Family::new();

fn main() {
    REQUESTS.get(&Outcome { model_name: "llama" }).increment(1);
}
