'use strict';
(() => {
  // How often the metrics are read, how long the pauses become while that fails, and how long an answer may take.
  const PERIOD = 2000, LONGEST = 30000, TIMEOUT = 10000;
  // What the trends show, in milliseconds.
  const HISTORY = 120000;
  // Families with more series keep two scrapes of each, and no more, so that memory stays bounded.
  const DEEP = 50;
  // What is shown of a large registry at a time; the search finds the rest.
  const FAMILIES = 200, SERIES = 100;
  const QUANTILES = [0.5, 0.9, 0.99];
  const FORMAT = 'application/vnd.google.protobuf';
  const ACCEPT = `${FORMAT};proto=io.prometheus.client.MetricFamily;encoding=delimited`;
  const KINDS = ['counter', 'gauge', 'summary', 'gauge', 'histogram'];
  const NONE = '\u2013';

  // ---- Reading: MetricFamily messages of client_model's metrics.proto, each after its length ----

  const utf8 = new TextDecoder();
  // Gives every byte a character of its own, and so every text of bytes a key of its own.
  const bytewise = new TextDecoder('latin1');

  class Reader {
    constructor(buffer) {
      this.bytes = new Uint8Array(buffer);
      this.view = new DataView(buffer);
      this.at = 0;
    }

    // Numbers are exact up to 2^53.
    varint() {
      let value = 0, scale = 1, byte;
      do {
        if (this.at >= this.bytes.length) throw new Error('the answer is cut short');
        byte = this.bytes[this.at++];
        value += (byte & 0x7f) * scale;
        scale *= 0x80;
      } while (byte >= 0x80);
      return value;
    }

    zigzag() {
      const value = this.varint();
      return value % 2 ? -(value + 1) / 2 : value / 2;
    }

    double() {
      this.at += 8;
      return this.view.getFloat64(this.at - 8, true);
    }

    // Reads a length, and says where what has it ends.
    end() {
      const length = this.varint();
      if (this.at + length > this.bytes.length) throw new Error('the answer is cut short');
      return this.at + length;
    }

    raw() {
      const end = this.end(), start = this.at;
      this.at = end;
      return this.bytes.subarray(start, end);
    }

    string() {
      return utf8.decode(this.raw());
    }

    // Calls `field` with the number of each field up to `end`. What it does not read is passed over.
    message(end, field) {
      while (this.at < end) {
        const tag = this.varint(), start = this.at;
        field(Math.floor(tag / 8));
        if (this.at === start) this.skip(tag % 8);
      }
    }

    skip(way) {
      if (way === 0) this.varint();
      else if (way === 1) this.at += 8;
      else if (way === 2) this.at = this.end();
      else if (way === 5) this.at += 4;
      else throw new Error('the answer is not protobuf');
    }
  }

  function readFamilies(buffer) {
    const reader = new Reader(buffer), families = [];
    while (reader.at < reader.bytes.length) families.push(readFamily(reader));
    return families;
  }

  function readFamily(reader) {
    const family = { name: '', help: '', kind: KINDS[0], unit: '', metrics: [] };
    reader.message(reader.end(), (number) => {
      if (number === 1) family.name = reader.string();
      else if (number === 2) family.help = reader.string();
      else if (number === 3) family.kind = KINDS[reader.varint()] ?? 'gauge';
      else if (number === 4) family.metrics.push(readMetric(reader));
      else if (number === 5) family.unit = reader.string();
    });
    return family;
  }

  function readMetric(reader) {
    const metric = { key: '', labels: [], value: 0, created: 0 };
    reader.message(reader.end(), (number) => {
      if (number === 1) {
        // Its text is read when the series is new.
        const label = reader.raw();
        metric.labels.push(label);
        metric.key += `${label.length}:${bytewise.decode(label)}`;
      } else if (number === 7) {
        metric.value = readHistogram(reader, metric);
      } else if (number === 2 || number === 3 || number === 5) {
        reader.message(reader.end(), (field) => {
          if (field === 1) metric.value = reader.double();
          else if (field === 3) metric.created = readTime(reader);
        });
      }
    });
    return metric;
  }

  function readLabel(bytes) {
    const label = ['', ''], reader = new Reader(bytes.slice().buffer);
    reader.message(bytes.length, (number) => {
      if (number <= 2) label[number - 1] = reader.string();
    });
    return label;
  }

  function readTime(reader) {
    let seconds = 0, nanoseconds = 0;
    reader.message(reader.end(), (number) => {
      if (number === 1) seconds = reader.varint();
      else if (number === 2) nanoseconds = reader.varint();
    });
    return seconds * 1000 + nanoseconds / 1e6;
  }

  // The buckets are [low, high, count], by ascending bounds; native ones where there are some.
  function readHistogram(reader, metric) {
    let count = 0, sum = 0, schema = 0, zeroThreshold = 0, zeroCount = 0;
    const classic = [], spans = [], deltas = [];
    reader.message(reader.end(), (number) => {
      if (number === 1) count = reader.varint();
      else if (number === 2) sum = reader.double();
      else if (number === 3) classic.push(readBucket(reader));
      else if (number === 5) schema = reader.zigzag();
      else if (number === 6) zeroThreshold = reader.double();
      else if (number === 7) zeroCount = reader.varint();
      else if (number === 12) spans.push(readSpan(reader));
      else if (number === 13) for (const end = reader.end(); reader.at < end;) deltas.push(reader.zigzag());
      else if (number === 15) metric.created = readTime(reader);
    });
    const native = spans.length > 0 || zeroThreshold > 0 || zeroCount > 0;
    const buckets = native
      ? nativeBuckets(schema, zeroThreshold, zeroCount, spans, deltas)
      : classicBuckets(classic, count);
    return { count, sum, buckets };
  }

  function readBucket(reader) {
    const bucket = { below: 0, bound: 0 };
    reader.message(reader.end(), (number) => {
      if (number === 1) bucket.below = reader.varint();
      else if (number === 2) bucket.bound = reader.double();
    });
    return bucket;
  }

  function readSpan(reader) {
    const span = { offset: 0, length: 0 };
    reader.message(reader.end(), (number) => {
      if (number === 1) span.offset = reader.zigzag();
      else if (number === 2) span.length = reader.varint();
    });
    return span;
  }

  function nativeBuckets(schema, zeroThreshold, zeroCount, spans, deltas) {
    const buckets = zeroCount > 0 ? [[0, zeroThreshold, zeroCount]] : [];
    // The last bucket of finite numbers ends at the last of them.
    const bound = (index) =>
      index > 1024 * 2 ** schema ? Infinity : Math.min(2 ** (index * 2 ** -schema), Number.MAX_VALUE);
    let index = 0, count = 0, next = 0;
    for (const { offset, length } of spans) {
      index += offset;
      for (const end = index + length; index < end; index++) {
        count += deltas[next++] ?? 0;
        if (count > 0) buckets.push([bound(index - 1), bound(index), count]);
      }
    }
    return buckets;
  }

  // Without any bounds all are in one bucket, which says nothing about quantiles.
  function classicBuckets(classic, count) {
    const buckets = [];
    let low = 0, seen = 0;
    for (const { below, bound } of classic) {
      if (below > seen) buckets.push([low, bound, below - seen]);
      low = bound;
      seen = Math.max(seen, below);
    }
    if (classic.length > 0 && count > seen) buckets.push([low, Infinity, count - seen]);
    return buckets;
  }

  // ---- What was read so far ----

  const EMPTY = { count: 0, sum: 0, buckets: [] };
  const families = new Map();
  // What rates and quantiles are of, in milliseconds.
  let windowLength = 0;
  let lastRead = 0;

  class Series {
    constructor(key, labels) {
      this.key = key;
      this.labels = labels;
      this.text = labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ');
      this.searched = this.text.toLowerCase();
      this.past = [];
    }

    // What only rises counts from zero when it is new, and again when it begins anew.
    push(time, metric, kind, deep) {
      const last = this.past.at(-1), rises = kind === 'counter' || kind === 'histogram';
      const zero = kind === 'histogram' ? EMPTY : 0;
      if (rises && last && (metric.created !== last.created || fell(metric.value, last.value))) {
        this.past = [{ time: last.time, value: zero }];
      } else if (rises && !last && lastRead > 0) {
        this.past = [{ time: lastRead, value: zero }];
      }
      this.past.push({ time, value: metric.value, created: metric.created });
      while (this.past.length > 2 && (!deep || this.past[1].time < time - HISTORY)) this.past.shift();
    }

    get value() {
      return this.past.at(-1).value;
    }

    // The first and the last scrape of the window; of two or more scrapes, the last two at least.
    span() {
      const last = this.past.length - 1;
      if (last < 1) return null;
      // A scrape that came a little late is still of the window.
      const since = this.past[last].time - windowLength - PERIOD / 2;
      const first = this.past.findIndex(({ time }) => time >= since);
      const from = this.past[Math.min(first, last - 1)];
      return { from: from.value, to: this.past[last].value, seconds: (this.past[last].time - from.time) / 1000 };
    }
  }

  const fell = (now, then) => (typeof now === 'number' ? now < then : now.count < then.count);

  // Takes in what was read at a time.
  function take(read, time) {
    for (const { name, help, kind, unit, metrics } of read) {
      let family = families.get(name);
      if (!family || family.kind !== kind) {
        family = { name, kind, series: new Map(), trend: [], open: family?.open };
        families.set(name, family);
      }
      Object.assign(family, { help, unit: unit || unitOf(name), seen: time });
      const deep = metrics.length <= DEEP;
      for (const metric of metrics) {
        let series = family.series.get(metric.key);
        if (!series) family.series.set(metric.key, (series = new Series(metric.key, metric.labels.map(readLabel))));
        series.push(time, metric, kind, deep);
        series.seen = time;
      }
    }
    // What fails to be there once has not begun anew when it is back.
    for (const [name, family] of families) {
      if (family.seen < time - HISTORY) families.delete(name);
      for (const [key, series] of family.series) if (series.seen < time - HISTORY) family.series.delete(key);
      family.present = [...family.series.values()].filter(({ seen }) => seen === time);
    }
    lastRead = time;
    for (const family of families.values()) {
      family.summary = summary(family, family.present);
      pushTrend(family.trend, time, family.summary.trend);
    }
  }

  function pushTrend(trend, time, value) {
    trend.push({ time, value });
    while (trend[0].time < time - HISTORY) trend.shift();
  }

  // Of one series, where its scrapes are kept.
  function trendOf({ kind }, { past }) {
    if (kind === 'gauge') return past;
    if (kind !== 'counter') return [];
    return past.slice(1).map(({ time, value }, at) => {
      const before = past[at];
      return { time, value: ((value - before.value) / (time - before.time)) * 1000 };
    });
  }

  const UNITS = ['seconds', 'bytes', 'ratio', 'celsius', 'watts', 'joules', 'hertz'];
  const unitOf = (name) => UNITS.find((unit) => name.replace(/_total$/, '').endsWith(`_${unit}`)) ?? '';

  // What some series of a family say together.
  function summary(family, list) {
    if (family.kind === 'counter') {
      const total = list.reduce((sum, { value }) => sum + value, 0), rate = rateOf(list);
      return { total, rate, trend: rate };
    }
    if (family.kind !== 'histogram') {
      const values = list.map(({ value }) => value).filter((value) => !Number.isNaN(value));
      const low = values.reduce((a, b) => Math.min(a, b), Infinity);
      const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
      return values.length > 0 ? { low, high, trend: high } : { low: NaN, high: NaN, trend: NaN };
    }
    const window = windowOf(family, list);
    const quantiles = QUANTILES.map((q) => quantile(window, q));
    const mean = window.count > 0 ? window.sum / window.count : NaN;
    return { rate: window.rate, mean, quantiles, trend: quantiles.at(-1)?.estimate ?? NaN };
  }

  // A second, in the window; not a number before the second scrape.
  function rateOf(list) {
    const spans = list.map((series) => series.span()).filter((span) => span !== null);
    return spans.length > 0 ? spans.reduce((sum, { from, to, seconds }) => sum + (to - from) / seconds, 0) : NaN;
  }

  // What some histograms saw in the window, together.
  function windowOf(family, list) {
    const drawn = families.get(`${family.name}_samples_total`);
    const all = { count: 0, sum: 0, rate: NaN, samples: null, buckets: [] }, merged = new Map();
    // Kish's effective sample size, where samples stand for different numbers of observations.
    let squares = 0, sampled = false;
    for (const series of list) {
      const span = series.span();
      if (!span) continue;
      const { from, to, seconds } = span, before = new Map(from.buckets.map(([, high, n]) => [high, n]));
      let count = 0;
      for (const [low, high, n] of to.buckets) {
        const more = Math.max(0, n - (before.get(high) ?? 0));
        if (more === 0) continue;
        const bucket = merged.get(high);
        if (bucket) bucket[2] += more;
        else merged.set(high, [low, high, more]);
        count += more;
      }
      if (to.buckets.length === 0) count = to.count - from.count;
      const samples = drawn?.series.get(series.key)?.span();
      if (samples) sampled = true;
      if (count > 0) squares += count ** 2 / (samples ? samples.to - samples.from : count);
      all.count += count;
      all.sum += to.sum - from.sum;
      all.rate = (Number.isNaN(all.rate) ? 0 : all.rate) + count / seconds;
    }
    if (sampled) all.samples = all.count > 0 ? Math.round(all.count ** 2 / squares) : 0;
    all.buckets = [...merged.values()].sort((a, b) => a[1] - b[1]);
    return all;
  }

  // ---- Quantiles and how sure they are ----
  //
  // As `HistogramSnapshot::quantile_bounds` of inferometer has them: inside a bucket the value is interpolated on a
  // logarithmic scale, and of a sampled histogram the bounds are a distribution-free confidence interval (David and
  // Nagaraja, Order Statistics, section 7.1) that holds the true quantile 95 times in 100.

  const BEYOND = 0.025, DEVIATIONS = 1.959963984540054, SUMMED = 500;

  function quantile({ buckets, samples }, q) {
    const count = buckets.reduce((sum, bucket) => sum + bucket[2], 0);
    if (count === 0) return null;
    let [low, high, share] = place(buckets, q * count);
    const inside = low <= 0 ? high * share : Math.min(low * (high / low) ** share, high);
    const estimate = high === Infinity ? low : inside;
    if (samples === null) return { estimate, low, high, observations: count, samples };
    // Sample r of n stands for the shares from (r - 1) / n to r / n of the observations.
    const [first, last] = ranks(samples, q);
    const product = (a, b) => BigInt(a) * BigInt(b);
    const over = (seen) => product(seen, samples) > product(first - 1, count);
    const upTo = (seen) => product(seen, samples) >= product(last, count);
    low = first === null ? 0 : bucketWith(buckets, over)[0];
    high = last === null ? Infinity : bucketWith(buckets, upTo)[1];
    return { estimate, low, high, observations: count, samples };
  }

  // The limits of the bucket that holds a rank, and the share of the bucket that is below it.
  function place(buckets, rank) {
    let below = 0;
    for (const [low, high, n] of buckets) {
      if (below + n >= rank) return [low, high, Math.min(Math.max((rank - below) / n, 0), 1)];
      below += n;
    }
    return [buckets.at(-1)[0], buckets.at(-1)[1], 1];
  }

  function bucketWith(buckets, enough) {
    let seen = 0;
    return buckets.find((bucket) => enough((seen += bucket[2]))) ?? buckets.at(-1);
  }

  // Of n samples in ascending order, those between which the true quantile lies, counted from one; null on a side where
  // even the outermost sample is not far enough out.
  function ranks(n, q) {
    if (q <= 0.5) return ranksOfLower(n, q);
    const [first, last] = ranksOfLower(n, 1 - q);
    const mirror = (rank) => (rank === null ? null : n - (rank - 1));
    return [mirror(last), mirror(first)];
  }

  function ranksOfLower(n, q) {
    const [first, last] = n * q <= SUMMED ? summedRanks(n, q) : expandedRanks(n, q);
    return [first > 0 ? first : null, last <= n ? last : null];
  }

  // From the binomial distribution, by summing.
  function summedRanks(n, q) {
    const odds = q / (1 - q);
    let term = Math.exp(n * Math.log1p(-q)), below = 0, first = 0;
    for (let k = 0; k < n; k++) {
      below += term;
      if (below <= BEYOND) first = k + 1;
      if (below >= 1 - BEYOND) return [first, k + 1];
      term *= ((n - k) / (k + 1)) * odds;
    }
    return [first, n + 1];
  }

  // By the expansion of Cornish and Fisher, where the terms are many.
  function expandedRanks(n, q) {
    const z2 = DEVIATIONS ** 2, variance = q * (1 - q), deviation = Math.sqrt(n * variance);
    const centre = n * q + ((1 - 2 * q) * (z2 - 1)) / 6;
    const excess = ((1 - 6 * variance) * (z2 - 3) - 1) / 24 - ((1 - 4 * variance) * (2 * z2 - 5)) / 36;
    const spread = DEVIATIONS * (deviation + excess / deviation);
    return [Math.floor(centre - spread + 0.5), Math.ceil(centre + spread + 0.5)];
  }

  // ---- Numbers as text ----

  const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
  const TIMES = [[1, 's'], [1e-3, 'ms'], [1e-6, '\u00b5s'], [1e-9, 'ns']];
  const SIZES = [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']];
  const FREQUENCIES = [[1e9, 'GHz'], [1e6, 'MHz'], [1e3, 'kHz'], [1, 'Hz']];
  const SIGNS = { celsius: '\u00b0C', watts: 'W', joules: 'J' };

  // Three digits or more, as many as the whole part has.
  function digits(value) {
    const size = Math.abs(value);
    if (size === 0) return '0';
    if (size >= 1e15 || size < 1e-4) return value.toExponential(2);
    return size >= 999.5 ? grouped.format(value) : value.toPrecision(3);
  }

  function scaled(value, scale) {
    const [factor, sign] = scale.find(([factor]) => Math.abs(value) >= 0.9995 * factor) ?? scale.at(-1);
    return [digits(value / factor), sign];
  }

  // The number, and the sign of its unit.
  function parts(value, unit) {
    if (Number.isNaN(value)) return [NONE, ''];
    if (!Number.isFinite(value)) return [value > 0 ? '\u221e' : '\u2212\u221e', ''];
    if (unit === 'seconds') return value === 0 ? ['0', 's'] : scaled(value, TIMES);
    if (unit === 'bytes') return value === 0 ? ['0', 'B'] : scaled(value, SIZES);
    if (unit === 'hertz') return scaled(value, FREQUENCIES);
    if (unit === 'ratio') return [digits(value * 100), '%'];
    const whole = Number.isInteger(value) && Math.abs(value) < 1e15;
    return [whole ? grouped.format(value) : digits(value), SIGNS[unit] ?? ''];
  }

  const amount = (value, unit) => parts(value, unit).filter((part) => part !== '').join('\u00a0');

  function rate(value, unit) {
    if (Number.isNaN(value)) return NONE;
    const [number, sign] = unit === '' ? [digits(value), ''] : parts(value, unit);
    return sign === '' ? `${number}/s` : `${number}\u00a0${sign}/s`;
  }

  function limits(low, high, unit) {
    if (low <= 0 && high === Infinity) return 'too few samples';
    if (high === Infinity) return `\u2265\u00a0${amount(low, unit)}`;
    if (low <= 0) return `\u2264\u00a0${amount(high, unit)}`;
    const [[from, fromSign], [to, toSign]] = [parts(low, unit), parts(high, unit)];
    const start = fromSign === toSign || fromSign === '' ? from : `${from}\u00a0${fromSign}`;
    return `${start}\u00a0${NONE}\u00a0${to}${toSign && `\u00a0${toSign}`}`;
  }

  // ---- Elements. What was read is only ever the text of one, or an attribute that holds text ----

  const $ = (id) => document.getElementById(id);

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // Touches the page only where something has changed.
  function put(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function mark(node, name, value) {
    if (value === null) node.removeAttribute(name);
    else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }

  const SVG = 'http://www.w3.org/2000/svg';

  class Chart {
    constructor() {
      this.root = document.createElementNS(SVG, 'svg');
      this.path = document.createElementNS(SVG, 'path');
      const attributes = { class: 'trend', viewBox: '0 0 120 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' };
      for (const [name, value] of Object.entries(attributes)) this.root.setAttribute(name, value);
      this.root.append(this.path);
    }

    draw(points) {
      const values = points.map(({ value }) => value).filter(Number.isFinite);
      const top = values.reduce((a, b) => Math.max(a, b), -Infinity);
      const bottom = values.reduce((a, b) => Math.min(a, b), Infinity);
      let path = '', joined = false;
      for (const { time, value } of points) {
        const x = 120 - (120 * (lastRead - time)) / HISTORY;
        const y = top > bottom ? 19 - (18 * (value - bottom)) / (top - bottom) : 10;
        if (Number.isFinite(value)) path += `${joined ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
        joined = Number.isFinite(value);
      }
      mark(this.path, 'd', path);
    }
  }

  const COLUMNS = {
    counter: ['Rate', 'Total'],
    gauge: ['Value'],
    histogram: ['Rate', 'Mean', 'p50', 'p90', 'p99'],
    gpu: ['Utilisation', 'Memory', 'Power', 'Temperature', 'Clock'],
  };
  const TREND = { counter: 'Rate, 2 min', gauge: 'Value, 2 min', histogram: 'p99, 2 min', gpu: 'Utilisation, 2 min' };

  // Whether a second line is in a column.
  const hasBounds = (kind, column) => kind === 'gpu' || (kind === 'histogram' && column >= 2);

  // What stands in the columns: a text, with limits where there are some.
  function cells({ kind, unit }, found) {
    if (kind === 'counter') return [{ text: rate(found.rate, unit) }, { text: amount(found.total, unit) }];
    if (kind === 'histogram') {
      const quantiles = found.quantiles.map((quantile) => {
        if (!quantile) return { text: NONE };
        const { estimate, low, high, observations, samples } = quantile;
        const seen = `of ${grouped.format(observations)} observations`;
        const title = samples === null ? seen : `from ${grouped.format(samples)} samples ${seen}`;
        return { text: amount(estimate, unit), limits: limits(low, high, unit), title, low, high };
      });
      return [{ text: rate(found.rate, '') }, { text: amount(found.mean, unit) }, ...quantiles];
    }
    if (found.low === found.high || Number.isNaN(found.low)) return [{ text: amount(found.high, unit) }];
    return [{ text: `${amount(found.low, unit)} to ${amount(found.high, unit)}` }];
  }

  class Row {
    constructor(kind, heading, name) {
      this.cells = COLUMNS[kind].map((label, at) => {
        const value = element('span', { class: 'value' }), bounds = element('span', { class: 'bounds' });
        const cell = element('td', { role: 'cell', 'data-label': label }, value);
        if (hasBounds(kind, at)) cell.append(bounds);
        return { cell, value, bounds };
      });
      this.chart = new Chart();
      this.chartCell = element('td', { role: 'cell', class: 'chart', 'data-label': 'Trend' }, this.chart.root);
      this.heading = element('th', { role: 'rowheader', scope: 'row' }, ...heading);
      this.root = element('tr', { role: 'row', class: name }, this.heading);
      this.root.append(...this.cells.map(({ cell }) => cell), this.chartCell);
    }

    show(contents, trend) {
      contents.forEach(({ text, limits = '', title = '', low, high }, at) => {
        const { cell, value, bounds } = this.cells[at];
        put(value, text);
        put(bounds, limits);
        mark(cell, 'title', title || null);
        mark(cell, 'data-low', low === undefined ? null : String(low));
        mark(cell, 'data-high', high === undefined ? null : String(high));
      });
      this.chart.draw(trend);
    }
  }

  class Table {
    constructor(place, kind, caption, first) {
      this.kind = kind;
      const columns = COLUMNS[kind].map((_, at) => (hasBounds(kind, at) ? 'quantile' : 'number'));
      const head = [first, ...COLUMNS[kind], TREND[kind]];
      this.root = element('table', { role: 'table' },
        element('caption', { class: 'hidden' }, caption),
        element('colgroup', {}, ...['name', ...columns, 'history'].map((width) => element('col', { class: `of-${width}` }))),
        element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' },
          ...head.map((label) => element('th', { role: 'columnheader', scope: 'col' }, label)))));
      this.more = element('p', { class: 'more', hidden: '' });
      this.groups = new Map();
      place.append(this.root, this.more);
    }

    // Has a group for each key, in this order, and no others; says for each what `make` made of it.
    arrange(keys, make) {
      const groups = new Map(keys.map((key) => [key, this.groups.get(key) ?? make(key)]));
      for (const [key, group] of this.groups) if (groups.get(key) !== group) group.root.remove();
      this.groups = groups;
      let before = this.root.tHead;
      for (const { root } of groups.values()) {
        if (before.nextSibling !== root) before.after(root);
        before = root;
      }
      return groups;
    }
  }

  // A family, and its series where they are asked for.
  class Group {
    // Until somebody opens or closes it, it is open while a search finds some of its series.
    constructor(family) {
      this.button = element('button', { type: 'button', class: 'name', 'aria-expanded': 'false' }, family.name);
      this.help = element('span', { class: 'help' });
      this.row = new Row(family.kind, [this.button, this.help], 'family');
      this.rows = new Map();
      this.more = element('td', { role: 'cell', class: 'more', colspan: COLUMNS[family.kind].length + 2 });
      this.moreRow = element('tr', { role: 'row', class: 'series' }, this.more);
      this.root = element('tbody', { role: 'rowgroup', 'data-family': family.name }, this.row.root);
      this.button.addEventListener('click', () => {
        const current = families.get(family.name);
        if (current) current.open = this.button.getAttribute('aria-expanded') === 'false';
        render();
      });
    }

    show(family, found) {
      const many = family.present.length, open = family.open ?? found.length < many;
      put(this.help, `${grouped.format(many)} series${family.help && ` \u00b7 ${family.help}`}`);
      mark(this.button, 'aria-expanded', String(open));
      this.row.show(cells(family, family.summary), family.trend);
      const shown = open ? found.slice(0, SERIES) : [];
      for (const [series, row] of this.rows) {
        if (!shown.includes(series)) {
          row.root.remove();
          this.rows.delete(series);
        }
      }
      let before = this.row.root;
      for (const series of shown) {
        let row = this.rows.get(series);
        if (!row) this.rows.set(series, (row = new Row(family.kind, [series.text || 'no labels'], 'series')));
        row.show(cells(family, summary(family, [series])), trendOf(family, series));
        if (before.nextSibling !== row.root) before.after(row.root);
        before = row.root;
      }
      const beyond = found.length - shown.length, other = many - found.length;
      const notes = [];
      if (open && beyond > 0) notes.push(`${grouped.format(beyond)} more series are not shown; the search narrows them down.`);
      if (open && other > 0) notes.push(`${grouped.format(other)} series do not match the search.`);
      put(this.more, notes.join(' '));
      if (notes.length === 0) this.moreRow.remove();
      else if (before.nextSibling !== this.moreRow) before.after(this.moreRow);
    }
  }

  class Tile {
    constructor(place, label) {
      this.value = element('dd', { class: 'value' });
      this.detail = element('dd', { class: 'detail' });
      this.chart = new Chart();
      this.trend = [];
      const chart = element('dd', { 'aria-hidden': 'true' }, this.chart.root);
      this.root = element('div', { class: 'tile', hidden: '' }, element('dt', {}, label), this.value, this.detail, chart);
      place.append(this.root);
    }

    // Not a number is not known yet, and nothing is not there.
    show(found) {
      this.root.hidden = found === null;
      if (found === null) return;
      const { value, text, detail = '', bad = false } = found;
      put(this.value, text);
      put(this.detail, detail);
      mark(this.detail, 'title', detail || null);
      mark(this.root, 'data-bad', bad ? '' : null);
      if (this.trend.at(-1)?.time !== lastRead) pushTrend(this.trend, lastRead, value);
      this.chart.draw(this.trend);
    }
  }

  // ---- What is shown ----

  const present = (name) => {
    const family = families.get(name);
    return family?.present.length > 0 ? family : null;
  };
  const valuesOf = (family) => family.present.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  const sumOf = (family) => valuesOf(family).reduce((a, b) => a + b, 0);
  const labelOf = (series, name) => series.labels.find(([label]) => label === name)?.[1];

  const sum = (name) => () => {
    const family = present(name);
    return family && { value: sumOf(family), text: amount(sumOf(family), family.unit) };
  };

  const highest = (name) => () => {
    const family = present(name);
    if (!family) return null;
    const value = family.summary.high, many = family.present.length;
    return { value, text: amount(value, family.unit), detail: many > 1 ? `the highest of ${many}` : '' };
  };

  const perSecond = (name, bad = false) => () => {
    const family = present(name);
    if (!family) return null;
    const { rate: value, total } = family.summary;
    return { value, text: rate(value, ''), detail: `${grouped.format(total)} in all`, bad: bad && value > 0 };
  };

  // Of what should stay at zero.
  const total = (name) => () => {
    const family = present(name);
    if (!family) return null;
    const { total: value, rate: now } = family.summary;
    return { value, text: amount(value, family.unit), detail: now > 0 ? `${rate(now, '')} now` : '', bad: value > 0 };
  };

  const quotient = (part, whole) => () => {
    const [above, below] = [present(part), present(whole)];
    if (!above || !below) return null;
    const value = above.summary.rate / below.summary.rate;
    const detail = below.summary.rate > 0 ? 'in the window' : 'nothing in the window';
    return { value, text: amount(value, 'ratio'), detail };
  };

  const ofKind = (name, kind) => () => {
    const family = present(name), series = family?.present.find((series) => labelOf(series, 'kind') === kind);
    return series ? { value: series.value, text: amount(series.value, family.unit) } : null;
  };

  const SERVING = [
    ['Requests running', sum('inference_requests_running')],
    ['Requests waiting', sum('inference_requests_waiting')],
    ['Requests finished', perSecond('inference_requests_total')],
    ['Output tokens', perSecond('inference_generation_tokens_total')],
    ['Prompt tokens', perSecond('inference_prompt_tokens_total')],
    ['KV cache in use', highest('inference_kv_cache_usage_ratio')],
    ['Prefix cache hits', quotient('inference_prefix_cache_hits_total', 'inference_prefix_cache_queries_total')],
    ['Preemptions', perSecond('inference_preemptions_total')],
    ['Requests rejected', perSecond('inference_requests_rejected_total', true)],
    ['Request errors', perSecond('inference_request_errors_total', true)],
  ];
  const LATENCIES = [
    ['inference_time_to_first_token_seconds', 'Time to first token'],
    ['inference_inter_token_latency_seconds', 'Between tokens'],
    ['inference_time_per_output_token_seconds', 'Per output token'],
    ['inference_request_duration_seconds', 'Request, end to end'],
    ['inference_request_queue_seconds', 'In the queue'],
    ['inference_step_seconds', 'Forward pass'],
  ];
  const COST = [
    ['Share of CPU time', quotient('inferometer_overhead_seconds_total', 'inferometer_recording_cpu_seconds_total')],
    ['Share since start', () => {
      const found = highest('inferometer_overhead_ratio')(), seconds = present('inferometer_overhead_seconds_total');
      if (found && seconds) found.detail = `${amount(seconds.summary.total, 'seconds')} in all`;
      return found;
    }],
    ['Memory of cells', ofKind('inferometer_memory_bytes', 'cells')],
    ['Memory of series', ofKind('inferometer_memory_bytes', 'series')],
    ['Memory of exemplars', ofKind('inferometer_memory_bytes', 'exemplars')],
    ['Series', sum('inferometer_series')],
    ['Recording threads', sum('inferometer_threads')],
    ['Records dropped', total('inferometer_records_dropped_total')],
    ['Series dropped', total('inferometer_series_dropped_total')],
    ['Exemplars dropped', total('inferometer_exemplars_dropped_total')],
    ['Invalid observations', total('inferometer_invalid_observations_total')],
    ['Clock anomalies', total('inferometer_clock_anomalies_total')],
    ['Scrapes failed', total('inferometer_scrapes_failed_total')],
  ];

  const tiles = (id, list) => list.map(([label, find]) => [new Tile($(id).querySelector('.tiles'), label), find]);
  const table = (id, ...rest) => new Table($(id).querySelector('.list'), ...rest);
  const servingTiles = tiles('serving', SERVING), costTiles = tiles('cost', COST);
  const latencies = table('serving', 'histogram', 'Latencies', 'Latency');
  const devices = table('gpu', 'gpu', 'GPUs', 'Device');
  const lists = ['histogram', 'counter', 'gauge'].map((kind) => {
    const title = `${kind[0].toUpperCase()}${kind.slice(1)}s`;
    return { kind, section: $(`${kind}s`), table: table(`${kind}s`, kind, title, 'Family') };
  });

  function showTiles(list) {
    const found = list.map(([, find]) => find());
    found.forEach((found, at) => list[at][0].show(found));
    return found.some((found) => found !== null);
  }

  function renderServing(wanted) {
    const any = showTiles(servingTiles), names = LATENCIES.map(([name]) => name).filter(present);
    $('serving').querySelector('.tiles').hidden = !any;
    $('serving').querySelector('.list').hidden = names.length === 0;
    $('serving').hidden = !wanted || (!any && names.length === 0);
    latencies.arrange(names, (name) => {
      const label = LATENCIES.find(([latency]) => latency === name)[1];
      const row = new Row('histogram', [label, element('span', { class: 'help plain' }, name)], '');
      return { row, root: element('tbody', { role: 'rowgroup', 'data-family': name }, row.root) };
    }).forEach(({ row }, name) => {
      const family = families.get(name);
      row.show(cells(family, family.summary), family.trend);
    });
  }

  // One row for each device that any family of GPUs names.
  function renderDevices(wanted) {
    const found = new Set();
    for (const { name, present } of families.values()) {
      if (!name.startsWith('gpu_')) continue;
      for (const series of present) if (labelOf(series, 'gpu') !== undefined) found.add(labelOf(series, 'gpu'));
    }
    const find = (name, gpu, label, value) => present(name)?.present.find((series) =>
      labelOf(series, 'gpu') === gpu && (label === undefined || labelOf(series, label) === value));
    const number = (...which) => find(...which)?.value ?? NaN;
    $('gpu').hidden = !wanted || found.size === 0;
    devices.arrange([...found].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })), (gpu) => {
      const model = element('span', { class: 'help plain' });
      const row = new Row('gpu', [`GPU ${gpu}`, model], '');
      return { row, model, trend: [], root: element('tbody', { role: 'rowgroup' }, row.root) };
    }).forEach(({ row, model, trend }, gpu) => {
      const info = find('gpu_info', gpu), utilisation = number('gpu_utilization_ratio', gpu);
      put(model, (info && labelOf(info, 'name')) ?? '');
      if (trend.at(-1)?.time !== lastRead) pushTrend(trend, lastRead, utilisation);
      const [memory, limit] = [number('gpu_memory_total_bytes', gpu), number('gpu_power_limit_watts', gpu)];
      const outOf = (most, unit) => (Number.isNaN(most) ? '' : `of ${amount(most, unit)}`);
      row.show([
        { text: amount(utilisation, 'ratio') },
        { text: amount(number('gpu_memory_used_bytes', gpu), 'bytes'), limits: outOf(memory, 'bytes') },
        { text: amount(number('gpu_power_watts', gpu), 'watts'), limits: outOf(limit, 'watts') },
        { text: amount(number('gpu_temperature_celsius', gpu, 'sensor', 'die'), 'celsius') },
        { text: amount(number('gpu_clock_hertz', gpu, 'clock', 'sm'), 'hertz') },
      ], trend);
    });
  }

  // The series that a search finds: all of a family by its name or its help, else those by their labels.
  function search(family, words) {
    const about = `${family.name} ${family.help}`.toLowerCase();
    const left = words.filter((word) => !about.includes(word));
    return left.length === 0 ? family.present : family.present.filter(({ searched }) => left.every((word) => searched.includes(word)));
  }

  function render() {
    const words = $('search').value.toLowerCase().split(/\s+/).filter((word) => word !== '');
    renderServing(words.length === 0);
    renderDevices(words.length === 0);
    $('cost').hidden = !showTiles(costTiles) || words.length > 0;
    let any = false;
    for (const { kind, section, table } of lists) {
      const found = new Map();
      for (const family of families.values()) {
        if (family.kind !== kind) continue;
        const series = search(family, words);
        if (series.length > 0) found.set(family.name, series);
      }
      const names = [...found.keys()].sort(), beyond = names.length - FAMILIES;
      section.hidden = names.length === 0;
      any ||= names.length > 0;
      table.more.hidden = beyond <= 0;
      put(table.more, `${grouped.format(beyond)} more families are not shown; the search narrows them down.`);
      table.arrange(names.slice(0, FAMILIES), (name) => new Group(families.get(name)))
        .forEach((group, name) => group.show(families.get(name), found.get(name)));
    }
    $('nothing').hidden = any || lastRead === 0;
  }

  // ---- Reading again and again ----

  let timer = 0, running = false, failures = 0, paused = false, readAt = null;

  const clock = (date) => date.toLocaleTimeString('en-GB');

  function state(name, text, facts) {
    mark($('status'), 'data-state', name);
    put($('state'), text);
    put($('facts'), facts);
    mark($('main'), 'data-stale', name === 'stale' ? '' : null);
  }

  function reason(error) {
    if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT / 1000} s`;
    if (error instanceof TypeError) return 'the server cannot be reached';
    return error.message;
  }

  async function scrape() {
    clearTimeout(timer);
    if (running || paused || document.hidden) return;
    running = true;
    const started = performance.now();
    let wait = PERIOD;
    try {
      // Relative, so that the page works behind a prefix.
      const options = { headers: { Accept: ACCEPT }, cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT) };
      const response = await fetch('metrics', options);
      const time = performance.now();
      if (!response.ok) throw new Error(`the server answers with status ${response.status}`);
      if (!response.headers.get('Content-Type')?.startsWith(FORMAT)) throw new Error('the answer is not protobuf');
      const buffer = await response.arrayBuffer(), took = performance.now() - started;
      take(readFamilies(buffer), time);
      failures = 0;
      readAt = new Date();
      render();
      const many = [...families.values()].reduce((sum, { present }) => sum + present.length, 0);
      state('live', 'Live', [`read at ${clock(readAt)}`, amount(took / 1000, 'seconds'),
        amount(buffer.byteLength, 'bytes'), `${grouped.format(many)} series`].join(' \u00b7 '));
    } catch (error) {
      failures++;
      wait = Math.min(PERIOD * 2 ** failures, LONGEST);
      const values = readAt === null ? '' : `values of ${clock(readAt)} \u00b7 `;
      state('stale', `${readAt === null ? 'Failed' : 'Stale'}: ${reason(error)}`, `${values}next try in ${wait / 1000} s`);
    }
    running = false;
    // Nothing is read while it is paused or nobody looks.
    if (paused) showPause();
    else if (!document.hidden) timer = setTimeout(scrape, Math.max(0, wait - (performance.now() - started)));
  }

  function showPause() {
    put($('pause'), paused ? 'Resume' : 'Pause');
    if (paused) state('paused', 'Paused', readAt === null ? '' : `values of ${clock(readAt)}`);
  }

  // ---- Controls ----

  const THEMES = ['auto', 'light', 'dark'];
  let theme = THEMES[0];

  function showTheme() {
    mark(document.documentElement, 'data-theme', theme);
    put($('theme'), `Theme: ${theme}`);
  }

  // Storage can be forbidden; then the choice lasts as long as the page.
  try {
    const kept = localStorage.getItem('inferometer-theme');
    if (THEMES.includes(kept)) theme = kept;
  } catch {}

  $('theme').addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    showTheme();
    try {
      localStorage.setItem('inferometer-theme', theme);
    } catch {}
  });
  $('pause').addEventListener('click', () => {
    paused = !paused;
    showPause();
    scrape();
  });
  $('retry').addEventListener('click', scrape);
  $('window').addEventListener('change', () => {
    windowLength = Number($('window').value) * 1000;
    for (const family of families.values()) family.summary = summary(family, family.present);
    render();
  });
  $('search').addEventListener('input', render);
  $('search').addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    $('search').value = '';
    render();
  });
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest('input, select, textarea') !== null;
    if (event.key !== '/' || event.ctrlKey || event.altKey || event.metaKey || typing) return;
    event.preventDefault();
    $('search').focus();
    $('search').select();
  });
  document.addEventListener('visibilitychange', scrape);

  // A browser may bring back what was chosen before the page was loaded again.
  windowLength = Number($('window').value) * 1000;
  put($('host'), location.host);
  showTheme();
  scrape();
})();
