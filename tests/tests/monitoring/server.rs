//! A server with all metrics that there are, and the troubles that a test gives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fake_nvml::{FakeLibrary, Gpu, Script};
use inferometer_gpu::{Devices, GpuMonitor, NvmlProbe};
use inferometer_prometheus::{Exporter, Server};
use inferometer_serving::{
    CacheTier, EngineState, FinishReason, KvBlocks, LoadPhase, LoraAdapters, ServingMetrics, Stage, TokenizerOperation,
    TransferDirection,
};

/// What goes on. It can be changed at any time.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// How long requests take, in milliseconds, beside what they take anyway.
    pub(crate) delay: AtomicU64,
    /// How many requests wait.
    pub(crate) waiting: AtomicU64,
    stop: AtomicBool,
}

/// Two servers of a process, on one host. (They have the same metrics: it is the process that has them.)
pub(crate) struct Servers {
    pub(crate) trouble: Arc<Trouble>,
    pub(crate) servers: Vec<Server>,
    library: FakeLibrary,
    _monitor: GpuMonitor,
    load: Option<JoinHandle<()>>,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let library = FakeLibrary::new(&gpu(0.6, &[]));
        let monitor =
            GpuMonitor::builder().devices(Devices::all()).interval(inferometer_gpu::Tier::Slow, Duration::from_secs(1));
        let monitor = monitor.probe(NvmlProbe::with_library(library.path())).start().expect("a monitor");
        let trouble = Arc::<Trouble>::default();
        let metrics = ServingMetrics::builder("llama").register().expect("metrics");
        set_once(&metrics);
        let load = std::thread::spawn({
            let trouble = Arc::clone(&trouble);
            move || serve(&metrics, &trouble)
        });
        let serve = || Exporter::builder().build().expect("an exporter").serve("127.0.0.1:0").expect("a free port");
        let servers = vec![serve(), serve()];
        Self { trouble, servers, library, _monitor: monitor, load: Some(load) }
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.local_addr().to_string()).collect()
    }

    /// Fills the GPU's memory by this share, and has it report these errors.
    pub(crate) fn gpu(&self, memory: f64, xids: &[u64]) {
        self.library.say(&gpu(memory, xids));
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.trouble.stop.store(true, Relaxed);
        if let Some(load) = self.load.take() {
            let _ = load.join(); // it has said why, if it panicked
        }
    }
}

fn gpu(memory: f64, xids: &[u64]) -> Script {
    const MEMORY: f64 = 85_899_345_920.0;
    let mut gpu = Gpu::h100("GPU-1");
    gpu.set("memory.used", (memory * MEMORY) as u64);
    // Whether a row of memory is to be replaced.
    gpu.set("field.144", 0);
    let xids = xids.iter().map(|&xid| ("GPU-1".to_owned(), xid)).collect();
    Script { xids, ..Script::with([gpu]) }
}

/// What has no series before it is known.
fn set_once(metrics: &ServingMetrics) {
    metrics.set_engine_state(EngineState::Ready);
    metrics.set_max_running_requests(200);
    metrics.set_max_step_tokens(2_048);
    metrics.set_kv_cache(1_000, 16);
    metrics.set_lora_adapters(&LoraAdapters { max: 4, loaded: 1, running: &["a"], waiting: &[] });
    metrics.set_model_load(LoadPhase::Weights, Duration::from_secs(3));
    metrics.set_model_weight_bytes(1 << 30);
}

/// Twenty requests a second of four tokens each.
fn serve(metrics: &ServingMetrics, trouble: &Trouble) {
    const BETWEEN: Duration = Duration::from_millis(50);
    const STEP: Duration = Duration::from_millis(5);
    let mut recorder = metrics.step_recorder();
    recorder.set_running(3);
    recorder.set_kv_blocks(KvBlocks { used: 300, free: 600, cached: 100 });
    while !trouble.stop.load(Relaxed) {
        recorder.set_waiting(trouble.waiting.load(Relaxed));
        let ended = Instant::now();
        let arrived = ended - 6 * STEP - Duration::from_millis(trouble.delay.load(Relaxed));
        let mut request = metrics.request(arrived);
        request.prompt_tokens(12);
        request.max_tokens(16);
        request.cached_prompt_tokens(CacheTier::Device, 4);
        metrics.prefix_cache_lookup(CacheTier::Device, 12, 4);
        metrics.tokenized(TokenizerOperation::Tokenize, Duration::from_micros(80));
        metrics.kv_transferred(TransferDirection::In, CacheTier::Host, 4_096, Duration::from_micros(300));
        request.scheduled(arrived + STEP);
        for token in 2..6 {
            request.tokens(1, arrived + token * STEP);
        }
        request.finished(FinishReason::Stop, ended);
        drop(recorder.stage(Stage::Schedule));
        // It computes, as engines do: a thread that only records spends more than 1 % of its time on that.
        while ended.elapsed() < STEP {
            std::hint::spin_loop();
        }
        std::thread::sleep(BETWEEN);
    }
}
