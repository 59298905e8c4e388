// Two losses in JavaScript: lossmark check --command "node harness.mjs" --name javascript
import { createInterface } from "node:readline";

// The loss of one example, and its slopes by the inputs that have a gradient.
const losses = {
  huber({ x, t }, { delta = 1 }) {
    if (!(delta > 0)) throw new RangeError(`delta must be positive, got ${delta}`);
    const z = x - t;
    if (Math.abs(z) > delta) return [delta * (Math.abs(z) - delta / 2), { x: [delta * Math.sign(z)] }];
    return [(z * z) / 2, { x: [z] }];
  },
  // The same of three rows.
  pairwise_hinge({ u, d_pos, d_neg }, { margin = 1 }) {
    if (!(margin >= 0)) throw new RangeError(`margin must not be negative, got ${margin}`);
    const dot = (row) => row.reduce((sum, a, i) => sum + a * u[i], 0);
    const z = margin - dot(d_pos) + dot(d_neg);
    if (z <= 0) return [0, Object.fromEntries(["u", "d_pos", "d_neg"].map((name) => [name, u.map(() => 0)]))];
    return [z, { u: d_neg.map((n, i) => n - d_pos[i]), d_pos: u.map((a) => -a), d_neg: u }];
  },
};
const takes = { huber: ["delta", "reduction"], pairwise_hinge: ["margin", "reduction"] };

// Rounds to the nearest number with so many bits after the first, ties to even; `least` is the exponent of the smallest.
function rounding(bits, least, largest) {
  return (x) => {
    if (!Number.isFinite(x)) return x;
    const unit = 2 ** Math.max(Math.floor(Math.log2(Math.abs(x))) - bits, least);
    const near = (x / unit + 1.5 * 2 ** 52 - 1.5 * 2 ** 52) * unit; // a double of that size has no fraction
    return Math.abs(near) > largest ? Math.sign(x) * Infinity : near;
  };
}
const formats = {
  float64: (x) => x,
  float32: Math.fround,
  bfloat16: rounding(7, -133, 2 ** 128 - 2 ** 120),
  float16: rounding(10, -24, 65504),
};

function encoded(numbers, dtype, shape) {
  const data = Float64Array.from(numbers, formats[dtype]);
  return { dtype, shape, data: Buffer.from(data.buffer).toString("base64") };
}

// Numbers, or rows of them.
function decoded({ shape: [count, width], data }) {
  const bytes = Uint8Array.from(Buffer.from(data, "base64")); // a copy, which begins where a double may
  const numbers = Array.from(new Float64Array(bytes.buffer));
  return width === undefined ? numbers : Array.from({ length: count }, (_, i) => numbers.slice(i * width, (i + 1) * width));
}

function answer({ loss, inputs, params, reduction = "mean", gradient = [], weights }) {
  const [{ dtype, shape }, ...others] = Object.values(inputs);
  if (others.some((x) => x.dtype !== dtype || String(x.shape) !== String(shape))) throw new TypeError("inputs differ");
  const columns = Object.entries(inputs).map(([name, x]) => [name, decoded(x)]);
  const example = (i) => Object.fromEntries(columns.map(([name, column]) => [name, column[i]]));
  const each = Array.from({ length: shape[0] }, (_, i) => losses[loss](example(i), params));
  const values = each.map(([value]) => value);
  const count = { none: 1, sum: 1, mean: each.length }[reduction];
  if (!count || !(dtype in formats)) throw new RangeError(`no ${reduction} of ${each.length} examples in ${dtype}`);
  const total = values.reduce((sum, value) => sum + value, 0) / count;
  const weigh = weights ? decoded(weights) : values.map(() => 1 / count);
  const slopes = (name) => each.flatMap(([, parts], i) => parts[name].map((slope) => slope * weigh[i]));
  return {
    value: reduction === "none" ? encoded(values, dtype, [each.length]) : encoded([total], dtype, []),
    gradient: Object.fromEntries(gradient.map((name) => [name, encoded(slopes(name), dtype, shape)])),
  };
}

const hello = { lossmark: 1, losses: takes, gradients: Object.keys(takes), dtypes: Object.keys(formats) };
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let found = hello;
  try {
    if (asked.loss) found = answer(asked);
  } catch (error) {
    found = { error: String(error) };
  }
  console.log(JSON.stringify({ id: asked.id, ...found }));
}
