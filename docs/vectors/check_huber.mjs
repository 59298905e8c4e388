// Holds a Huber loss in JavaScript to lossmark's vectors, in float64: node check_huber.mjs huber.json
// Prints what does not conform, and how many results there were; the exit code is 1 if any does not.
import { readFileSync } from "node:fs";

// |x - t| up to delta is squared, beyond it is linear; the gradient by x is the difference, clipped.
function huber(x, t, delta) {
  const z = x - t;
  const m = Math.abs(z);
  const value = m <= delta ? 0.5 * m * m : delta * (m - 0.5 * delta);
  return { value, slope: Number.isNaN(z) ? z : Math.min(Math.max(z, -delta), delta) };
}

// A number of a file: an integer, nan, inf, -inf, or a hex float such as -0x1.8p+1.
function number(text) {
  if (typeof text === "number") return text;
  const special = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  if (text in special) return special[text];
  const [, sign, whole, fraction = "", power] = text.match(/^(-?)0x([01])\.?([0-9a-f]*)p([+-]\d+)$/);
  const mantissa = parseInt(whole + fraction, 16); // at most 53 bits
  const shift = Number(power) - 4 * fraction.length;
  const half = Math.max(shift, -1000); // in two steps, so that no power of two underflows by itself
  return (sign ? -1 : 1) * mantissa * 2 ** half * 2 ** (shift - half);
}

function near(x, exact, rest, bound) {
  if (Number.isFinite(x) && Number.isFinite(exact)) return Math.abs(x - exact - rest) <= bound;
  return Object.is(x, exact);
}

// The places of a flat list that do not conform.
function wrong(got, expected, allowed, room = 0) {
  if (allowed.unjudged) return [];
  const fine = new Set(allowed.any ?? []);
  for (const [name, places] of Object.entries(allowed.also ?? {}))
    for (const place of places) if (Object.is(got[place], number(name))) fine.add(place);
  const own = { ...expected, bound: allowed.bound, at: got.map((_, place) => place), room };
  for (const part of [own, ...(allowed.alternatives ?? [])])
    part.at.forEach((place, i) => {
      const [exact, rest, bound] = [part.exact, part.rest, part.bound].map((list) => number(list[i]));
      if (near(got[place], exact, rest, bound + (part.room ?? 0))) fine.add(place);
    });
  return got.map((_, place) => place).filter((place) => !fine.has(place));
}

// Whether slopes in [0, 1], one for each place, bring every element of a kinked row within its error: see "kinks".
function fits(elements, error, between) {
  const slopes = elements[0].spans.map(() => [0, 1]);
  const places = ({ spans }) => spans.flatMap((span, place) => (span ? [place] : []));
  for (const element of [...elements].sort((a, b) => places(a).length - places(b).length)) {
    const { away, spans, [error]: e } = element;
    const moved = places(element);
    if (!Number.isFinite(away)) return false;
    if (moved.length === 1) {
      const ends = [(away - e) / spans[moved[0]], (away + e) / spans[moved[0]]].sort((a, b) => a - b);
      const [low, high] = slopes[moved[0]];
      slopes[moved[0]] = [Math.max(low, ends[0]), Math.min(high, ends[1])];
    } else {
      const reach = (end) => spans.reduce((sum, s, i) => sum + end(s * slopes[i][0], s * slopes[i][1]), 0);
      if (reach(Math.min) > away + e || reach(Math.max) < away - e) return false;
    }
  }
  const inside = ([a, b], place) =>
    elements.some(({ spans }) => spans[place]) && ((a > 0 && b < 1) || (a === 0 && b === 1));
  return (!between || slopes.some(inside)) && slopes.every(([a, b]) => a <= b);
}

// What is wrong with the gradient by the one input that this loss has one of: the places of its elements.
function wrongGradient(got, expected, { gradient, kinks, unjudged }, room) {
  if (unjudged) return [];
  const found = new Set(wrong(got, expected, gradient.x, room));
  kinks?.rows.forEach((row, k) => {
    const { lower, upper, room: rooms } = kinks.gradient.x;
    const start = number(lower[k]);
    const spans = upper.map((end) => number(end[k]) - start);
    if (!spans.some(Boolean)) return;
    const element = { away: got[row] - start, spans, bound: number(gradient.x.bound[row]), room: number(rooms[k]) };
    if (fits([element], "bound", false) || fits([element], "room", true)) found.delete(row);
    else found.add(row);
  });
  return [...found];
}

const file = JSON.parse(readFileSync(process.argv[2], "utf8"));
const room = number(file.dtypes.float64.room);
let [results, failures] = [0, 0];

function hold(what, got, expected, places) {
  results += 1;
  for (const place of places) {
    failures += 1;
    console.log(`${what}[${place}]: got ${got[place]}, expected ${number(expected.exact[place])}`);
  }
}

for (const { id, params, inputs, expected, allowed = {} } of file.cases) {
  if (!allowed.float64) continue;
  const delta = number(params.delta ?? file.params.delta.default);
  const [x, t] = [inputs.x, inputs.t].map((input) => input.data.map(number));
  const each = x.map((prediction, row) => huber(prediction, t[row], delta));
  const weights = { none: expected.weights.map(number), sum: x.map(() => 1), mean: x.map(() => 1 / x.length) };
  const total = each.reduce((sum, { value }) => sum + value, 0);
  const values = { none: each.map(({ value }) => value), sum: [total], mean: [total / x.length] };
  for (const [reduction, weight] of Object.entries(weights)) {
    const [value, judged] = [expected.value[reduction], allowed.float64.value[reduction]];
    hold(`${id} ${reduction}`, values[reduction], value, wrong(values[reduction], value, judged));
    const slopes = each.map(({ slope }, row) => slope * weight[row]);
    const [gradient, held] = [expected.gradient[reduction].x, allowed.float64.gradient[reduction]];
    hold(`${id} ${reduction} by x`, slopes, gradient, wrongGradient(slopes, gradient, held, room));
  }
}
console.log(`${results} results, ${failures} numbers that do not conform`);
process.exit(failures ? 1 : 0);
