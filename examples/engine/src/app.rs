//! The program: load, serve, send the load, sum up, linger, stop.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use inferometer::{ProcessCollector, Registry};
use inferometer_prometheus::Exporter;
use inferometer_serving::{EngineState, HostCollector, LoadPhase, ServingMetrics};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::args::Args;
use crate::engine::spawn;
use crate::gpu;
use crate::http;
use crate::load::{self, LoadConfig, LoadResult};
use crate::machine::{Build, Machine, ProcessMemory};
use crate::model::{self, Loaded, ModelInfo};
use crate::naming;
use crate::report::{Report, Settings, seconds};
use crate::scheduler::{Delay, SchedulerConfig};
use crate::telemetry::{Figures, Instrumented};
use crate::threads;

/// How long open connections get to end once the engine has.
const DRAIN: Duration = Duration::from_secs(2);

/// How often the live line moves where it can be overwritten, and where it cannot.
const LIVE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Runs the program to its end.
pub fn run(args: &Args) -> Result<()> {
    let machine = Machine::now();
    let loading = Instant::now();
    let loaded = model::load(&args.model)?;
    let loading = loading.elapsed();
    eprintln!("loaded {} in {}", loaded.model.info().name, seconds(Some(loading.as_secs_f64())));

    // The front end needs little; the model's arithmetic has threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("front-end")
        .enable_all()
        .build()
        .context("cannot start the front end's threads")?;
    runtime.block_on(serve(args, machine, loaded, loading))
}

async fn serve(args: &Args, machine: Machine, loaded: Loaded, loading: Duration) -> Result<()> {
    let info = loaded.model.info().clone();
    Registry::global()
        .register_collector("process", ProcessCollector::new())
        .context("cannot register the process's metrics")?;
    Registry::global()
        .register_collector("host", HostCollector::new())
        .context("cannot register the machine's metrics")?;
    let gpu = gpu::watch(args.gpu)?;
    let serving = ServingMetrics::builder(&info.name).register().context("cannot register the engine's metrics")?;
    serving.set_model_load(LoadPhase::Weights, loading);
    serving.set_max_running_requests(args.max_running as u64);
    let exposed = args.profile.iter().map(|naming| naming.as_str());
    let metrics = naming::profiles()?
        .into_iter()
        .fold(Exporter::builder(), |exporter, profile| exporter.profile(profile))
        .expose(exposed)
        .build()?
        .serve(args.metrics_listen)
        .context("cannot serve the metrics: choose another address with --metrics-listen")?;
    let config = SchedulerConfig {
        max_running: args.max_running,
        queue: args.queue,
        max_prefill_tokens: args.max_prefill_tokens,
        delay: Delay::of_millis(args.delay_ms),
        end_tokens: loaded.tokenizer.end_tokens().to_vec(),
    };
    let delay = config.delay.clone();
    let telemetry = Instrumented::new(serving.clone());
    let (submitter, engine) =
        spawn(Arc::clone(&loaded.model), config, telemetry).context("cannot start the engine's thread")?;

    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}: is another server there? Choose with --listen", args.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;
    let router = http::router(loaded, submitter, args.max_tokens, delay);
    let (stop, mut stopping) = watch::channel(());
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is the signal.
        let _ = stopping.changed().await;
    });
    let server = tokio::spawn(server.into_future());
    serving.set_engine_state(EngineState::Ready);
    println!("metrics: http://{}/metrics", metrics.local_addr());
    println!("listening: http://{address}");

    let work = async {
        let mut failed = None;
        if args.requests > 0 {
            let result = drive(args, address, &info).await;
            failed = result.first_error.clone();
            summarise(args, &machine, &info, Some(result))?;
        }
        match args.linger {
            None => std::future::pending::<()>().await,
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
        if args.requests == 0 {
            summarise(args, &machine, &info, None)?;
        }
        match failed {
            None => Ok(()),
            Some(error) => bail!("not every request of the built-in load was answered: {error}"),
        }
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        signal = interrupted() => {
            signal.context("cannot wait for signals")?;
            eprintln!("stopping");
            if args.requests == 0 {
                summarise(args, &machine, &info, None)?;
            }
            Ok(())
        }
    };

    serving.set_engine_state(EngineState::Draining);
    // First the engine, whose end answers every open request; then the connections have nothing left to wait for.
    let engine = tokio::task::spawn_blocking(move || engine.shutdown()).await?;
    drop(stop);
    if let Ok(served) = tokio::time::timeout(DRAIN, server).await {
        served?.context("the server failed")?;
    }
    metrics.shutdown();
    drop(gpu);
    if engine.is_err() {
        bail!("the engine's thread panicked; its message is above");
    }
    outcome
}

/// Waits for Ctrl-C, or for a service manager's wish that the program end.
#[cfg(unix)]
async fn interrupted() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn interrupted() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// Sends the built-in load and shows how it goes.
async fn drive(args: &Args, address: std::net::SocketAddr, info: &ModelInfo) -> LoadResult {
    let config = LoadConfig {
        requests: args.requests,
        concurrency: args.concurrency.unwrap_or(args.max_running),
        max_tokens: args.max_tokens,
        model: info.name.clone(),
    };
    let finished = Arc::new(AtomicUsize::new(0));
    let load = load::drive(address, config, Arc::clone(&finished));
    tokio::pin!(load);
    let overwrite = io::stderr().is_terminal();
    let mut ticks = tokio::time::interval(if overwrite { LIVE.0 } else { LIVE.1 });
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = (Instant::now(), Figures::now(&info.name).generated_tokens);
    loop {
        tokio::select! {
            result = &mut load => {
                if overwrite {
                    eprintln!();
                }
                return result;
            }
            _ = ticks.tick() => {
                let figures = Figures::now(&info.name);
                let now = (Instant::now(), figures.generated_tokens);
                let rate = (now.1 - before.1) as f64 / (now.0 - before.0).as_secs_f64();
                before = now;
                let line = format!(
                    "{}/{} answered, {} running, {} waiting, {rate:.1} tokens/s | TTFT {} | ITL {}",
                    finished.load(Ordering::Relaxed),
                    args.requests,
                    figures.running,
                    figures.waiting,
                    figures.time_to_first_token,
                    figures.inter_token_latency,
                );
                if overwrite {
                    // To the start of the line, and erase what is longer than the new text.
                    eprint!("\r{line}\x1b[K");
                    let _ = io::stderr().flush();
                } else {
                    eprintln!("{line}");
                }
            }
        }
    }
}

fn summarise(args: &Args, machine: &Machine, info: &ModelInfo, load: Option<LoadResult>) -> Result<()> {
    let report = Report {
        build: Build::of_this_program(),
        machine: machine.clone(),
        memory: ProcessMemory::now(),
        model: info.clone(),
        settings: Settings {
            threads: threads::count(),
            max_running: args.max_running,
            queue: args.queue,
            max_prefill_tokens: args.max_prefill_tokens,
            max_tokens: args.max_tokens,
            delay_ms: args.delay_ms,
            concurrency: args.concurrency.unwrap_or(args.max_running),
        },
        figures: Figures::now(&info.name),
        load,
    };
    print!("{report}");
    if let Some(path) = &args.report {
        report.write(path).with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    Ok(())
}
