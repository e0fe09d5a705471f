//! What a decode step records, hot and after 48 MiB of weights went through the caches: a real engine is cold.

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use inferometer_benches::contests::decode_step::Contest;
use inferometer_benches::inputs::Distribution;
use inferometer_benches::workload::Weights;
use std::hint::black_box;
use std::time::Duration;

fn cold(criterion: &mut Criterion) {
    let weights = Weights::new();
    let contest = Contest::new(&black_box(Distribution::ALL[0].nanos()), &weights);
    // A cold step is preceded by milliseconds that are not timed, so it is done once a sample.
    let (long, short) = (Duration::from_millis(500), Duration::from_nanos(100));
    for (name, contestants, time) in [("hot", contest.hot, long), ("cold", contest.cold, short)] {
        let mut group = criterion.benchmark_group(format!("decode step, {name}"));
        group.sample_size(50).sampling_mode(SamplingMode::Flat).warm_up_time(time).measurement_time(time);
        for mut contestant in contestants {
            let name = contestant.name().to_owned();
            group.bench_function(name, |bencher| bencher.iter_custom(|n| contestant.time(n)));
        }
        group.finish();
    }
}

criterion_group!(benches, cold);
criterion_main!(benches);
