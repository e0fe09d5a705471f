//! The live page in a real browser. The metrics are this process's own, in the global registry.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use inferometer::{Buckets, Counter, Family, Histogram, LabelSet, Matcher, Registry, Sampling, metric};
use inferometer_e2e::browser::{Browser, ENTER, ESCAPE, TAB};
use inferometer_e2e::client::Client;
use inferometer_e2e::exposition::Scrape;
use inferometer_e2e::wait;
use inferometer_prometheus::{Exporter, Server};
use serde_json::Value;

/// How long the page may take to show what is waited for: some scrapes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

const SCRIPT: &str = "<script>window.pwned=1</script>";
const IMAGE: &str = "\"><img src=x onerror=\"window.pwned=1\">";

#[derive(LabelSet)]
struct Shard<'a> {
    shard: &'a str,
}

/// Sheets that were folded.
#[metric(name = "page_sheets_total", max_series = 20_000)]
static SHEETS: Family<Shard<'static>, Counter> = Family::new();

/// A family that fills the registry, but for what else is in it: `Registry::MAX_SERIES` is 10,000.
const SERIES: usize = 9_900;

/// A server, and a browser that looks at its page.
struct Visit {
    browser: Browser,
    server: Option<Server>,
    address: String,
    /// The tests measure how long things take, so they go one after the other.
    _turn: MutexGuard<'static, ()>,
}

fn exporter() -> Exporter {
    Exporter::builder().max_response_bytes(64 << 20).build().unwrap()
}

/// `None` if the test has to be skipped.
fn visit() -> Option<Visit> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    static METRICS: Once = Once::new();
    METRICS.call_once(register);
    let browser = Browser::start()?;
    let server = exporter().serve(("127.0.0.1", 0)).unwrap();
    let address = server.local_addr().to_string();
    browser.resize(1280, 900);
    // Of the page that the browser begins with.
    browser.console();
    browser.requests();
    browser.open(&format!("http://{address}/"));
    let visit = Visit { browser, server: Some(server), address, _turn: turn };
    visit.until("the page is live", "document.querySelector('#status').dataset.state === 'live'");
    Some(visit)
}

impl Visit {
    fn ask(&self, expression: &str) -> Value {
        self.browser.run(&format!("return {expression};"))
    }

    fn until(&self, what: &str, condition: &str) {
        wait::until(what, PATIENCE, || match self.ask(condition) {
            Value::Bool(true) => Ok(()),
            other => Err(format!("{other}; {}", self.ask("document.querySelector('#status').innerText"))),
        });
    }

    /// Waits until the page has read the metrics so many times more.
    fn await_reads(&self, times: u32) {
        let reads = "performance.getEntriesByType('resource').filter((entry) => entry.responseStatus === 200).length";
        let before = self.ask(reads).as_u64().unwrap();
        self.until("the page reads again", &format!("{reads} >= {}", before + u64::from(times)));
    }

    fn click(&self, selector: &str) {
        self.browser.run(&format!("document.querySelector('{selector}').click();"));
    }

    fn search(&self, words: &str) {
        let words = Value::from(words);
        self.browser.run(&format!(
            "const search = document.querySelector('#search'); search.value = {words};
             search.dispatchEvent(new Event('input'));"
        ));
    }

    /// A cell in the row of a family, in the list of its kind.
    fn cell(&self, family: &str, column: &str) -> Value {
        self.browser.run(&format!(
            "const row = document.querySelector(`main section:not(#serving) [data-family=\"{family}\"] tr`);
             const cell = row?.querySelector('[data-label=\"{column}\"]');
             return cell && {{ text: cell.querySelector('.value').textContent, ...cell.dataset }};"
        ))
    }

    /// The page has nothing to complain about, and asked nobody but its own server.
    fn assert_quiet(&self) {
        let console = self.browser.console();
        assert!(console.is_empty(), "{console:#?}");
        let own = format!("http://{}/", self.address);
        let requests = self.browser.requests();
        assert!(requests.iter().any(|url| *url == format!("{own}metrics")), "{requests:?}");
        // The last one is the icon.
        let known = [own.clone(), format!("{own}metrics"), "data:,".to_owned()];
        assert_eq!(requests.iter().find(|&url| !known.contains(url)), None);
    }
}

fn register() {
    let registry = Registry::global();
    let base = [("engine", "0"), ("model_name", "llama-3.1-8b-instruct")];
    let counter = |name: &str, n| registry.counter(name, &base).unwrap().increment(n);
    let gauge = |name: &str, value: f64| registry.gauge(name, &base).unwrap().set(value);
    counter("inference_generation_tokens_total", 1_234_567);
    counter("inference_prompt_tokens_total", 9_876_543);
    counter("inference_preemptions_total", 3);
    counter("inference_prefix_cache_queries_total", 1_000);
    counter("inference_prefix_cache_hits_total", 250);
    gauge("inference_requests_running", 7.0);
    gauge("inference_requests_waiting", 2.0);
    gauge("inference_kv_cache_usage_ratio", 0.42);
    for (reason, n) in [("stop", 900), ("length", 77), ("error", 1)] {
        let status = if reason == "error" { "error" } else { "ok" };
        let labels = [("finish_reason", reason), ("status", status)];
        registry.counter("inference_requests_total", &labels).unwrap().increment(n);
    }
    registry.counter("inference_request_errors_total", &[("error_type", "internal")]).unwrap().increment(1);
    for gpu in ["0", "1"] {
        let uuid = format!("GPU-{gpu}");
        let labels = [("gpu", gpu), ("uuid", uuid.as_str())];
        let gauge = |name: &str, value: f64| registry.gauge(name, &labels).unwrap().set(value);
        gauge("gpu_utilization_ratio", 0.93);
        gauge("gpu_memory_used_bytes", 61.4e9);
        gauge("gpu_memory_total_bytes", 85.9e9);
        gauge("gpu_power_watts", 612.0);
        gauge("gpu_power_limit_watts", 700.0);
        let with = |key, value| [labels[0], labels[1], (key, value)];
        registry.gauge("gpu_temperature_celsius", &with("sensor", "die")).unwrap().set(61.0);
        registry.gauge("gpu_clock_hertz", &with("clock", "sm")).unwrap().set(1.98e9);
        registry.gauge("gpu_info", &with("name", "NVIDIA H100 80GB HBM3")).unwrap().set(1.0);
    }
    registry.describe("page_hostile_total", None, &format!("Help with {SCRIPT}.")).unwrap();
    for (value, n) in [(SCRIPT, 11), (IMAGE, 12), ("tab\there, line\nthere, \u{202e}right to left", 13)] {
        registry.counter("page_hostile_total", &[("path", value)]).unwrap().increment(n);
    }
    for shard in 0..SERIES {
        let shard: &'static str = format!("s{shard:05}").leak();
        SHEETS.get(&Shard { shard }).increment(1);
    }
}

/// A service that works while it is looked at.
struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let registry = Registry::global();
            let base = [("engine", "0"), ("model_name", "llama-3.1-8b-instruct")];
            let histogram = |name: &str| -> Histogram { registry.histogram(name, &base).unwrap() };
            let first = histogram("inference_time_to_first_token_seconds");
            let between = histogram("inference_inter_token_latency_seconds");
            let whole = histogram("inference_request_duration_seconds");
            let queue = histogram("inference_request_queue_seconds");
            let pass = histogram("inference_step_seconds");
            pass.set_sampling(Sampling::EveryN(16));
            let tokens = registry.counter("inference_generation_tokens_total", &base).unwrap();
            let prompt = registry.counter("inference_prompt_tokens_total", &base).unwrap();
            let running = registry.gauge("inference_requests_running", &base).unwrap();
            let mut random = 0.5_f64;
            let mut draw = move |median: f64| {
                // A logistic map, through the quantile function of a log-logistic distribution.
                random = (3.999 * random * (1.0 - random)).clamp(0.001, 0.999);
                Duration::from_secs_f64(median * (random / (1.0 - random)).powf(0.4))
            };
            while !stopped.load(Ordering::Acquire) {
                for _ in 0..24 {
                    between.record(draw(0.011));
                    let time = draw(0.009);
                    pass.record_with(|| time);
                }
                first.record(draw(0.18));
                queue.record(draw(0.02));
                whole.record(draw(2.4));
                tokens.increment(24);
                prompt.increment(310);
                running.set((draw(7.0).as_secs_f64()).round().min(32.0));
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

fn keep(name: &str, picture: &[u8]) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), picture).unwrap();
}

/// The texts that are too weak against what is behind them, by WCAG 2.2 (1.4.3), and how many there are in all.
const CONTRAST: &str = r#"
    const parse = (color) => color.match(/[\d.]+/g).map(Number);
    const light = (color) => {
        const [r, g, b] = parse(color).slice(0, 3).map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if ((parse(color)[3] ?? 1) === 1) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    const weak = [];
    let texts = 0;
    const check = (element, color) => {
        texts++;
        const found = ratio(color, behind(element));
        if (found < 4.5) weak.push(`${element.tagName} ${element.className} ${element.textContent}: ${found}`);
    };
    for (const element of document.body.querySelectorAll('*')) {
        if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
        if (['SCRIPT', 'NOSCRIPT'].includes(element.tagName)) continue;
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
        if (own) check(element, getComputedStyle(element).color);
        if (element.placeholder) check(element, getComputedStyle(element, '::placeholder').color);
    }
    return { weak, texts };
"#;

/// What reaches beyond the window, but for what is cut off on purpose.
const BEYOND: &str = r#"
    const width = document.documentElement.clientWidth;
    const cut = (element) => element.closest('.hidden, thead') !== null;
    return {
        page: document.documentElement.scrollWidth - width,
        elements: [...document.body.querySelectorAll('*')]
            .filter((element) => element.checkVisibility() && !cut(element))
            .filter((element) => element.getBoundingClientRect().right > width + 0.5)
            .map((element) => `${element.tagName} ${element.className}`),
    };
"#;

#[test]
fn its_texts_are_readable_and_fit_in_light_and_dark_on_wide_and_narrow_screens() {
    let Some(visit) = visit() else { return };
    let _load = Load::start();
    visit.click("[data-family=page_hostile_total] .name");
    visit.click("[data-family=page_sheets_total] .name");
    visit.await_reads(6);
    for scheme in ["light", "dark"] {
        visit.browser.prefer(scheme);
        for width in [1280, 360] {
            visit.browser.resize(width, 900);
            visit.browser.run("window.scrollTo(0, 0);");
            keep(&format!("{scheme}-{width}.png"), &visit.browser.screenshot());
            let found = visit.browser.run(CONTRAST);
            assert!(found["texts"].as_u64().unwrap() > 200, "{found}");
            assert_eq!(found["weak"], Value::Array(vec![]), "{scheme}, {width}");
            let found = visit.browser.run(BEYOND);
            assert_eq!(found["page"], 0, "{scheme}, {width}: {found}");
            assert_eq!(found["elements"], Value::Array(vec![]), "{scheme}, {width}");
            visit.browser.resize(width, 6_000);
            keep(&format!("{scheme}-{width}-whole.png"), &visit.browser.screenshot());
        }
    }
    // What this test looks for, it finds.
    visit
        .browser
        .run("const { style } = document.querySelector('h2'); style.color = 'gray'; style.background = 'silver';");
    assert_eq!(visit.browser.run(CONTRAST)["weak"].as_array().map(Vec::len), Some(1));
    visit.browser.run("document.querySelector('h2').style.width = '2000px';");
    assert_ne!(visit.browser.run(BEYOND)["page"], 0);
    visit.assert_quiet();
}

/// Whole numbers of the page have commas.
fn number(text: &Value) -> f64 {
    text.as_str().and_then(|text| text.replace(',', "").parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn what_it_shows_is_what_a_scrape_says() {
    let Some(visit) = visit() else { return };
    visit.await_reads(2);
    let answer = Client::new().get(&format!("http://{}/metrics", visit.address)).unwrap();
    let scrape = Scrape::parse(&answer.body).unwrap();
    let mut counters = 0;
    for family in scrape.families("counter").into_iter().filter(|name| !name.starts_with("inferometer_")) {
        let cell = visit.cell(family, "Total");
        assert_eq!(number(&cell["text"]), scrape.sum(family, &[]), "{family}");
        assert_eq!(visit.cell(family, "Rate")["text"], "0/s", "{family}");
        counters += 1;
    }
    assert!(counters >= 8, "{counters}");
    assert_eq!(number(&visit.cell("page_sheets_total", "Total")["text"]), SERIES as f64);
    for (family, text) in [
        ("inference_requests_waiting", "2"),
        ("inference_kv_cache_usage_ratio", "42.0\u{a0}%"),
        ("gpu_memory_used_bytes", "57.2\u{a0}GiB"),
        ("gpu_power_watts", "612\u{a0}W"),
        ("gpu_clock_hertz", "1.98\u{a0}GHz"),
    ] {
        assert_eq!(visit.cell(family, "Value")["text"], text, "{family}");
    }
    let tiles = visit.ask(
        "Object.fromEntries([...document.querySelectorAll('.tile:not([hidden])')]
            .map((tile) => [tile.querySelector('dt').textContent, tile.querySelector('.value').textContent]))",
    );
    assert_eq!(tiles["Requests waiting"], "2");
    assert_eq!(tiles["KV cache in use"], "42.0\u{a0}%");
    assert_eq!(number(&tiles["Series"]), scrape.value("inferometer_series", &[]).unwrap());
    // A thread of another test may end between the two.
    wait::until("the recording threads of a scrape", Duration::from_secs(30), || {
        let shown = visit.ask(
            "[...document.querySelectorAll('.tile')]
                .find((tile) => tile.querySelector('dt').textContent === 'Recording threads')
                .querySelector('.value').textContent",
        );
        let answer = Client::new().get(&format!("http://{}/metrics", visit.address))?;
        let threads = Scrape::parse(&answer.body)?.value("inferometer_threads", &[]);
        if Some(number(&shown)) == threads { Ok(()) } else { Err(format!("{shown} and {threads:?}")) }
    });
    assert_eq!(tiles["Records dropped"], "0");
    let ratio = tiles["Share since start"].as_str().unwrap().trim_end_matches("\u{a0}%").parse::<f64>().unwrap();
    let real = 100.0 * scrape.value("inferometer_overhead_ratio", &[]).unwrap();
    assert!((ratio / real - 1.0).abs() < 0.1, "{ratio} is not {real}");
    visit.assert_quiet();
}

#[test]
fn rates_and_quantiles_are_those_of_the_window() {
    const EXACT: &str = "page_exact_seconds";
    const CLASSIC: &str = "page_classic_seconds";
    const SAMPLED: &str = "page_sampled_seconds";
    let Some(visit) = visit() else { return };
    let registry = Registry::global();
    let bounds: Vec<f64> = (1..=20).map(|n| 0.05 * f64::from(n)).collect();
    let histogram = |name: &str, buckets| -> Histogram {
        registry.set_buckets(Matcher::Full(name.to_owned()), buckets).unwrap();
        registry.histogram(name, &[("of", "test")]).unwrap()
    };
    let exact = histogram(EXACT, Buckets::DEFAULT.without_classic());
    let classic = histogram(CLASSIC, Buckets::classic_from(bounds).without_native());
    let sampled = histogram(SAMPLED, Buckets::DEFAULT.without_classic());
    let counter = registry.counter("page_moved_total", &[]).unwrap();
    sampled.set_sampling(Sampling::EveryN(8));
    // What was before the window must not count.
    exact.record_n(Duration::from_secs(50), 5_000);
    classic.record_n(Duration::from_secs(50), 5_000);
    (0..5_000).for_each(|_| sampled.record_with(|| Duration::from_secs(50)));
    visit.browser.run(
        "const select = document.querySelector('#window');
         select.value = '10'; select.dispatchEvent(new Event('change'));",
    );
    visit.await_reads(8);
    let before = registry.snapshot();
    // Not while a scrape is read, which would see a part.
    visit.click("#pause");
    let values: Vec<Duration> = (1..=4_000).map(|n| Duration::from_micros(250 * n)).collect();
    for &value in &values {
        exact.record(value);
        classic.record(value);
        sampled.record_with(|| value);
    }
    counter.increment(5_000);
    visit.click("#pause");
    visit.await_reads(1);
    let window = registry.snapshot().delta(&before);
    for (q, column) in [(0.5, "p50"), (0.9, "p90"), (0.99, "p99")] {
        let truth = values[(q * values.len() as f64).ceil() as usize - 1].as_secs_f64();
        for name in [EXACT, CLASSIC, SAMPLED] {
            let cell = visit.cell(name, column);
            let limit = |which: &str| -> f64 {
                let text = cell[which].as_str().unwrap_or_else(|| panic!("{name}, {column}: {cell}"));
                text.replace("Infinity", "inf").parse().unwrap()
            };
            let (low, high) = (limit("low"), limit("high"));
            let want = window.histogram(name, &[]).unwrap().quantile_bounds(q).unwrap();
            if name == SAMPLED {
                // One draw of twenty does not hold the truth. What the library says of the same draw is another matter.
                assert!((100..1_000).contains(&want.samples), "{want:?}");
            } else {
                assert!(low < truth && truth <= high, "{name}, {column}: {truth} is not in {cell}");
            }
            // Durations are whole nanoseconds in the library, and floats on the page.
            let near = |a: f64, b: f64| a == b || (a - b).abs() < 1e-9;
            assert!(near(low, want.low) && near(high, want.high), "{name}, {column}: {cell} is not {want:?}");
        }
    }
    assert_eq!(visit.cell(EXACT, "Mean")["text"], "500\u{a0}ms");
    let rate = visit.cell("page_moved_total", "Rate")["text"].as_str().unwrap().replace([',', '/', 's'], "");
    let rate: f64 = rate.parse().unwrap();
    // A window is of 10 s and up to one scrape more, or less.
    assert!((5_000.0 / 14.0..5_000.0 / 7.0).contains(&rate), "{rate}");
    visit.assert_quiet();
}

#[test]
fn a_label_that_is_markup_stays_a_text() {
    let Some(visit) = visit() else { return };
    visit.click("[data-family=page_hostile_total] .name");
    let rows = visit.ask(
        "[...document.querySelectorAll('[data-family=page_hostile_total] .series th')].map((cell) => cell.textContent)",
    );
    let shown: Vec<&str> = rows.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for value in [SCRIPT, IMAGE] {
        let want = format!("path={}", serde_json::to_string(value).unwrap());
        assert!(shown.contains(&want.as_str()), "{want} is not in {shown:?}");
    }
    let help = visit.ask("document.querySelector('[data-family=page_hostile_total] .help').textContent");
    assert_eq!(help, format!("3 series \u{b7} Help with {SCRIPT}."));
    visit.search("onerror=");
    visit.await_reads(1);
    assert_eq!(visit.ask("window.pwned ?? null"), Value::Null);
    assert_eq!(visit.ask("document.querySelectorAll('main script, img').length"), 0);
    // The policy holds besides: a script that is not the page's own does not run.
    visit.browser.run(
        "const script = document.createElement('script');
         script.textContent = 'window.pwned = 1';
         document.body.append(script);",
    );
    assert_eq!(visit.ask("window.pwned ?? null"), Value::Null);
    let refused = visit.browser.console();
    assert!(refused.len() == 1 && refused[0].to_string().contains("Content Security Policy"), "{refused:#?}");
}

#[test]
fn the_keyboard_reaches_everything() {
    let Some(visit) = visit() else { return };
    let focus = || visit.ask("document.activeElement.id || document.activeElement.textContent");
    let mut reached = Vec::new();
    for _ in 0..5 {
        visit.browser.press(TAB);
        reached.push(focus().as_str().unwrap().to_owned());
        let outline = visit.ask("getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(outline, "solid", "{reached:?}");
    }
    assert_eq!(reached[..4], ["search", "window", "pause", "theme"]);
    let first = visit.ask("document.querySelector('button.name').textContent");
    assert_eq!(first, *reached[4], "after the controls come the families");
    visit.browser.press(ENTER);
    assert_eq!(visit.ask("document.activeElement.getAttribute('aria-expanded')"), "true");
    visit.browser.press("/");
    assert_eq!(focus(), "search");
    "hostile".chars().for_each(|letter| visit.browser.press(&letter.to_string()));
    let shown = "[...document.querySelectorAll('button.name')].map((name) => name.textContent).join()";
    assert_eq!(visit.ask(shown), "page_hostile_total");
    visit.browser.press(ESCAPE);
    assert_ne!(visit.ask(shown), "page_hostile_total");
    visit.browser.run("document.querySelector('#theme').focus();");
    for (theme, background) in [("light", "rgb(246, 246, 244)"), ("dark", "rgb(18, 20, 22)")] {
        visit.browser.press(ENTER);
        assert_eq!(visit.ask("document.documentElement.dataset.theme"), theme);
        assert_eq!(visit.ask("getComputedStyle(document.body).backgroundColor"), background);
    }
    // Each control and each table says what it is.
    let nameless = visit.ask(
        "[...document.querySelectorAll('input, select, button, table')].filter((element) => element.checkVisibility()
            && !(element.labels?.[0] ?? element.caption ?? element).textContent.trim()).map((element) => element.id)",
    );
    assert_eq!(nameless, Value::Array(vec![]));
    visit.assert_quiet();
}

#[test]
fn ten_thousand_series_do_not_freeze_it() {
    let Some(visit) = visit() else { return };
    visit.browser.run(
        "window.longest = 0; window.shifted = 0;
         new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => {
             window.longest = Math.max(window.longest, duration);
         })).observe({ type: 'longtask', buffered: true });",
    );
    let painted = visit.ask("performance.getEntriesByName('first-contentful-paint')[0].startTime").as_f64().unwrap();
    assert!(painted < 1_000.0, "{painted} ms");
    let _load = Load::start();
    visit.click("[data-family=page_sheets_total] .name");
    visit.await_reads(3);
    // The families that are new have come by now; from here on only numbers change.
    visit.browser.run(
        "new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => { window.shifted += value; }))
             .observe({ type: 'layout-shift' });",
    );
    visit.await_reads(4);
    let shifted = visit.ask("window.shifted").as_f64().unwrap();
    assert!(shifted < 0.001, "{shifted}");

    let rows = "document.querySelectorAll('[data-family=page_sheets_total] tr').length";
    let more = "document.querySelector('[data-family=page_sheets_total] .more')?.textContent ?? ''";
    assert_eq!(visit.ask(rows), 1 + 100 + 1);
    assert_eq!(visit.ask(more), "9,800 more series are not shown; the search narrows them down.");
    visit.search("sheets s0432");
    assert_eq!(visit.ask(rows), 1 + 10 + 1);
    assert_eq!(visit.ask(more), "9,890 series do not match the search.");
    visit.search("no such thing");
    assert_eq!(visit.ask("document.querySelector('#nothing').checkVisibility()"), true);
    let longest = visit.ask("window.longest").as_f64().unwrap();
    println!("first contentful paint {painted:.0} ms, longest task {longest:.0} ms, layout shift {shifted:.4}");
    assert!(longest < 1_000.0, "{longest} ms");
    visit.assert_quiet();
}

#[test]
fn it_says_that_the_server_is_down_and_recovers() {
    let Some(mut visit) = visit() else { return };
    assert_eq!(visit.cell("page_hostile_total", "Total")["text"], "36");
    visit.server.take().unwrap().shutdown();
    visit.until("the page is stale", "document.querySelector('#status').dataset.state === 'stale'");
    assert_eq!(visit.cell("page_hostile_total", "Total")["text"], "36", "the last values stay");
    let told = visit.ask("document.querySelector('#status').innerText");
    let told = told.as_str().unwrap();
    assert!(told.contains("Stale: the server cannot be reached") && told.contains("next try in 4 s"), "{told}");
    // It tries more and more seldom.
    visit.until("the pauses grow", "document.querySelector('#facts').textContent.includes('next try in 8 s')");
    keep("stale-1280.png", &visit.browser.screenshot());
    visit.server = Some(exporter().serve(visit.address.as_str()).unwrap());
    visit.until("the page is live again", "document.querySelector('#status').dataset.state === 'live'");
    assert_eq!(visit.ask("document.querySelector('main').hasAttribute('data-stale')"), false);
    // A server that answers, but not with metrics.
    visit.browser.run("window.real = window.fetch; window.fetch = async () => new Response('<p>hello</p>');");
    visit.until("a strange answer is told", "document.querySelector('#state').textContent.includes('not protobuf')");
    visit.browser.run("window.fetch = window.real;");
    visit.click("#retry");
    visit.until("the page is live at last", "document.querySelector('#status').dataset.state === 'live'");
}

#[test]
fn it_asks_for_nothing_while_it_is_paused_or_hidden() {
    let Some(visit) = visit() else { return };
    let asked = || visit.browser.requests().len();
    visit.click("#pause");
    visit.until("the page is paused", "document.querySelector('#state').textContent === 'Paused'");
    thread::sleep(Duration::from_secs(1)); // a request can be under way
    asked();
    thread::sleep(Duration::from_secs(5));
    assert_eq!(asked(), 0);
    visit.click("#pause");
    visit.await_reads(2);
    assert!(asked() >= 2);
    visit.browser.run(
        "window.seen = [];
         document.addEventListener('visibilitychange', () => window.seen.push([document.hidden, performance.now()]));",
    );
    let page = visit.browser.open_tab();
    thread::sleep(Duration::from_secs(6));
    visit.browser.show_tab(&page);
    visit.await_reads(2);
    // When it is shown it asks at once, just before it is seen here.
    let hidden = visit.browser.run(
        "const [[hidden, from], [shown, to]] = window.seen;
         const times = performance.getEntriesByType('resource').map(({ startTime }) => startTime);
         const asked = times.filter((time) => time > from && time < to - 100).length;
         return { hidden: hidden && !shown, time: to - from, asked };",
    );
    assert!(hidden["hidden"] == true && hidden["time"].as_f64().unwrap() > 5_000.0, "{hidden}");
    assert_eq!(hidden["asked"], 0, "{hidden}");
}
