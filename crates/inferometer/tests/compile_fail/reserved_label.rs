use inferometer::{LabelSet, counter};

#[derive(LabelSet)]
struct Bucket<'a> {
    le: &'a str,
}

fn main() {
    counter!("requests_total", "quantile" => "0.5").increment(1);
    let _ = Bucket::NAMES;
}
