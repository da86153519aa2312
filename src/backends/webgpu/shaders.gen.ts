// Written by scripts/build-wgsl.mjs from wgsl/: do not edit.

/** Changes with any shader. */
export const SHADER_VERSION = "19612c8ac9fd21d7";

/** By path in wgsl/, without the ending. */
export const SHADERS = {
  "activations": `
override ACTIVATION: u32;
fn sigmoid(x: f32) -> f32 {
return 1.0 / (1.0 + exp(-x));
}
fn erf(x: f32) -> f32 {
let a = abs(x);
let t = 1.0 / (1.0 + 0.5 * a);
let series = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 +
t * (-0.18628806 + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 +
t * (-0.82215223 + t * 0.17087277))))))));
return sign(x) * (1.0 - t * exp(-a * a + series));
}
fn activate(x: f32) -> f32 {
switch (ACTIVATION) {
case 0u: {
return x * sigmoid(x);
}
case 1u: {
return x * sigmoid(1.702 * x);
}
case 2u: {
return x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x));
}
case 3u: {
return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
}
case 4u: {
return max(x, 0.0);
}
case 5u: {
return max(x, 0.0) * max(x, 0.0);
}
case 6u: {
return sigmoid(x);
}
default: {
return x;
}
}
}`,
  "add_vector": `
override THREADS: u32 = 64u;
override REPLACES: bool = false;
struct Params {
cols: u32,
stride: u32,
column: u32,
vector: u32,
base: u32,
scaling: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> uses: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> bases: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let column = group.x * THREADS + t;
if (column >= params.cols || uses[group.y].x == 0.0) {
return;
}
let at = group.y * params.stride + params.column + column;
let own = vectors[params.vector + column];
if (REPLACES) {
y[at] += own - bases[params.base + column];
} else {
y[at] += own * uses[group.y].y * params.scaling;
}
}`,
  "attention": `
override THREADS: u32 = 64u;
override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override CTX: u32;
struct Params {
q_stride: u32,
q_column: u32,
out_stride: u32,
first_slot: u32,
slots: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> keys: array<CachedPair>;
@group(0) @binding(4) var<storage, read> values: array<CachedPair>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
const PAIRS = 4u;
const LOWEST = -3.0e38;
var<workgroup> query: array<vec2<f32>, HEAD_DIM / 2u>;
var<workgroup> reduced: array<f32, THREADS>;
var<workgroup> weights: array<f32, THREADS>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let half = HEAD_DIM / 2u;
let row = rows[group.y];
let slot = row.y - params.first_slot;
if (slot >= params.slots) {
return;
}
let count = row.z + 1u;
let first = (slot * KV_HEADS + group.x / (HEADS / KV_HEADS)) * CTX * half;
let scale = 1.0 / sqrt(f32(HEAD_DIM));
let source = group.y * params.q_stride + params.q_column + group.x * HEAD_DIM;
for (var i = t; i < half; i += THREADS) {
query[i] = vec2<f32>(q[source + 2u * i], q[source + 2u * i + 1u]) * scale;
}
var sums: array<vec2<f32>, PAIRS>;
var largest = LOWEST;
var total = 0.0;
for (var start = 0u; start < count; start += THREADS) {
workgroupBarrier();
var score = LOWEST;
if (start + t < count) {
score = 0.0;
let key = first + (start + t) * half;
for (var i = 0u; i < half; i++) {
score += dot(query[i], from_cache(keys[key + i]));
}
}
reduced[t] = score;
workgroupBarrier();
for (var n = THREADS / 2u; n > 0u; n >>= 1u) {
if (t < n) {
reduced[t] = max(reduced[t], reduced[t + n]);
}
workgroupBarrier();
}
let next = max(largest, workgroupUniformLoad(&reduced[0]));
let weight = select(0.0, exp(score - next), start + t < count);
weights[t] = weight;
reduced[t] = weight;
workgroupBarrier();
for (var n = THREADS / 2u; n > 0u; n >>= 1u) {
if (t < n) {
reduced[t] += reduced[t + n];
}
workgroupBarrier();
}
let factor = exp(largest - next);
total = total * factor + reduced[0];
largest = next;
let tile = min(THREADS, count - start);
for (var p = 0u; p < PAIRS; p++) {
let i = t + p * THREADS;
if (i < half) {
var sum = sums[p] * factor;
for (var k = 0u; k < tile; k++) {
sum += weights[k] * from_cache(values[first + (start + k) * half + i]);
}
sums[p] = sum;
}
}
}
let to = group.y * params.out_stride + group.x * HEAD_DIM;
for (var p = 0u; p < PAIRS; p++) {
let i = t + p * THREADS;
if (i < half) {
out[to + 2u * i] = sums[p].x / total;
out[to + 2u * i + 1u] = sums[p].y / total;
}
}
}`,
  "attention_combine": `
override THREADS: u32 = 64u;
override HEAD_DIM: u32;
override HEADS: u32;
override SPLIT: u32;
override WHOLE: u32;
struct Params {
x_stride: u32,
y_stride: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let positions = rows[group.y].z + 1u;
let count = select(1u, (positions + SPLIT - 1u) / SPLIT, positions > WHOLE);
let first = group.y * params.x_stride + group.x * (HEAD_DIM + 2u);
let stride = HEADS * (HEAD_DIM + 2u);
var largest = x[first];
for (var n = 1u; n < count; n++) {
largest = max(largest, x[first + n * stride]);
}
for (var i = t; i < HEAD_DIM; i += THREADS) {
var sum = 0.0;
var total = 0.0;
for (var n = 0u; n < count; n++) {
let at = first + n * stride;
let factor = exp(x[at] - largest);
sum += factor * x[at + 2u + i];
total += factor * x[at + 1u];
}
y[group.y * params.y_stride + group.x * HEAD_DIM + i] = sum / total;
}
}`,
  "attention_decode": `
override THREADS: u32 = 128u;
override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override CTX: u32;
override SPLIT: u32 = 0u;
override WHOLE: u32 = 0u;
struct Params {
x_stride: u32,
q_column: u32,
k_column: u32,
v_column: u32,
y_stride: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> angles: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> keys: array<CachedPair>;
@group(0) @binding(5) var<storage, read_write> values: array<CachedPair>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
const LOWEST = -3.0e38;
const ADDERS = 16u;
var<workgroup> query: array<f32, HEAD_DIM>;
var<workgroup> new_key: array<f32, HEAD_DIM>;
var<workgroup> weights: array<f32, THREADS>;
var<workgroup> reduced: array<f32, THREADS>;
var<workgroup> sums: array<vec2<f32>, THREADS>;
fn largest_of(t: u32, value: f32) -> f32 {
reduced[t] = value;
workgroupBarrier();
if (t < ADDERS) {
for (var i = t + ADDERS; i < THREADS; i += ADDERS) {
reduced[t] = max(reduced[t], reduced[i]);
}
}
workgroupBarrier();
if (t < 4u) {
reduced[t] = max(max(reduced[t], reduced[t + 4u]), max(reduced[t + 8u], reduced[t + 12u]));
}
workgroupBarrier();
return max(max(reduced[0], reduced[1]), max(reduced[2], reduced[3]));
}
fn sum_of(t: u32, value: f32) -> f32 {
reduced[t] = value;
workgroupBarrier();
if (t < ADDERS) {
for (var i = t + ADDERS; i < THREADS; i += ADDERS) {
reduced[t] += reduced[i];
}
}
workgroupBarrier();
if (t < 4u) {
reduced[t] += reduced[t + 4u] + reduced[t + 8u] + reduced[t + 12u];
}
workgroupBarrier();
return (reduced[0] + reduced[1]) + (reduced[2] + reduced[3]);
}
fn rounded(pair: vec2<f32>) -> vec2<f32> {
return from_cache(to_cache(pair));
}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let half = HEAD_DIM / 2u;
let row = rows[group.y];
let newest = row.z;
let head = group.x % HEADS;
let kv_head = head / (HEADS / KV_HEADS);
var first = 0u;
var end = newest + 1u;
if (SPLIT > 0u && end > WHOLE) {
first = min(end, (group.x / HEADS) * SPLIT);
end = min(end, first + SPLIT);
} else if (group.x >= HEADS) {
end = 0u;
}
let cache = (row.y * KV_HEADS + kv_head) * CTX * half;
let x_row = group.y * params.x_stride;
let q = x_row + params.q_column + head * HEAD_DIM;
let k = x_row + params.k_column + kv_head * HEAD_DIM;
let v = x_row + params.v_column + kv_head * HEAD_DIM;
let scale = 1.0 / sqrt(f32(HEAD_DIM));
for (var i = t; i < half; i += THREADS) {
let angle = angles[row.w * half + i];
let a = x[q + i];
let b = x[q + half + i];
query[i] = (a * angle.x - b * angle.y) * scale;
query[half + i] = (b * angle.x + a * angle.y) * scale;
let c = x[k + i];
let d = x[k + half + i];
let pair = rounded(vec2<f32>(c * angle.x - d * angle.y, d * angle.x + c * angle.y));
new_key[i] = pair.x;
new_key[half + i] = pair.y;
}
workgroupBarrier();
if (group.x == kv_head * (HEADS / KV_HEADS)) {
for (var i = t; i < half; i += THREADS) {
let to = cache + newest * half + i;
keys[to] = to_cache(vec2<f32>(new_key[2u * i], new_key[2u * i + 1u]));
values[to] = to_cache(vec2<f32>(x[v + 2u * i], x[v + 2u * i + 1u]));
}
}
let teams = THREADS / half;
let team = t / half;
let i = t % half;
var sum = vec2<f32>();
var largest = LOWEST;
var total = 0.0;
for (var start = first; start < end; start += THREADS) {
let position = start + t;
var score = LOWEST;
if (position < end) {
score = 0.0;
if (position == newest) {
for (var n = 0u; n < HEAD_DIM; n++) {
score += query[n] * new_key[n];
}
} else {
let key = cache + position * half;
for (var n = 0u; n < half; n++) {
score += dot(vec2<f32>(query[2u * n], query[2u * n + 1u]), from_cache(keys[key + n]));
}
}
}
let next = max(largest, largest_of(t, score));
let weight = select(0.0, exp(score - next), position < end);
weights[t] = weight;
workgroupBarrier();
let factor = exp(largest - next);
total = total * factor + weight;
largest = next;
sum *= factor;
if (team < teams) {
for (var n = team; n < min(THREADS, end - start); n += teams) {
if (start + n == newest) {
sum += weights[n] * rounded(vec2<f32>(x[v + 2u * i], x[v + 2u * i + 1u]));
} else {
sum += weights[n] * from_cache(values[cache + (start + n) * half + i]);
}
}
}
}
workgroupBarrier();
sums[t] = sum;
total = sum_of(t, total);
if (t >= half) {
return;
}
for (var n = 1u; n < teams; n++) {
sum += sums[n * half + t];
}
if (SPLIT == 0u) {
let to = group.y * params.y_stride + head * HEAD_DIM + 2u * t;
y[to] = sum.x / total;
y[to + 1u] = sum.y / total;
return;
}
let to = group.y * params.y_stride + group.x * (HEAD_DIM + 2u);
y[to + 2u + 2u * t] = sum.x;
y[to + 3u + 2u * t] = sum.y;
if (t == 0u) {
y[to] = largest;
y[to + 1u] = total;
}
}`,
  "attention_tile": `
override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override CTX: u32;
override THREADS: u32;
struct Params {
q_stride: u32,
q_column: u32,
out_stride: u32,
tiles: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> keys: array<CachedPair>;
@group(0) @binding(4) var<storage, read> values: array<CachedPair>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
const TILE = 32u;
const LOWEST = -3.0e38;
var<workgroup> q_part: array<vec4<f32>, 256>;
var<workgroup> k_part: array<vec4<f32>, 256>;
var<workgroup> scores: array<vec4<f32>, 256>;
var<workgroup> largest: array<f32, TILE>;
var<workgroup> totals: array<f32, TILE>;
var<workgroup> factors: array<f32, TILE>;
fn score_at(row: u32, quad: u32) -> u32 {
return row * 8u + (quad ^ (row & 7u));
}
fn key4(at: u32) -> vec4<f32> {
return vec4<f32>(from_cache(keys[at]), from_cache(keys[at + 1u]));
}
fn value4(at: u32) -> vec4<f32> {
return vec4<f32>(from_cache(values[at]), from_cache(values[at + 1u]));
}
fn add(
sum: vec4<f32>, w: vec4<f32>, v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>,
) -> vec4<f32> {
return sum + v0 * w.x + v1 * w.y + v2 * w.z + v3 * w.w;
}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let quads = HEAD_DIM / 4u;
let tile = rows[params.tiles + group.y];
let start = tile.w;
let end = start + tile.y;
let cached = (tile.z * KV_HEADS + group.x / (HEADS / KV_HEADS)) * CTX * 2u * quads;
let source = tile.x * params.q_stride + params.q_column + group.x * quads;
let scale = 1.0 / sqrt(f32(HEAD_DIM));
let n = t % quads;
let m = (t / quads) * 8u;
var s0 = vec4<f32>();
var s1 = vec4<f32>();
var s2 = vec4<f32>();
var s3 = vec4<f32>();
var s4 = vec4<f32>();
var s5 = vec4<f32>();
var s6 = vec4<f32>();
var s7 = vec4<f32>();
for (var r = t; r < TILE; r += THREADS) {
largest[r] = LOWEST;
totals[r] = 0.0;
}
for (var base = 0u; base < end; base += TILE) {
let seen = min(TILE, end - base);
for (var part = 0u; part < quads; part += 8u) {
workgroupBarrier();
for (var i = t; i < 256u; i += THREADS) {
let r = i >> 3u;
let k = i & 7u;
var query = vec4<f32>();
var key = vec4<f32>();
if (part + k < quads) {
query = q[source + r * params.q_stride + part + k] * scale;
key = key4(cached + ((base + min(r, seen - 1u)) * quads + part + k) * 2u);
}
q_part[i] = query;
k_part[r * 8u + (k ^ (r >> 2u))] = key;
}
workgroupBarrier();
for (var i = t; i < 128u; i += THREADS) {
let r = (i >> 3u) * 2u;
let p = i & 7u;
var a = vec4<f32>();
var b = vec4<f32>();
if (part > 0u) {
a = scores[score_at(r, p)];
b = scores[score_at(r + 1u, p)];
}
for (var k = 0u; k < 8u; k++) {
let at = p * 32u + (k ^ p);
let k0 = k_part[at];
let k1 = k_part[at + 8u];
let k2 = k_part[at + 16u];
let k3 = k_part[at + 24u];
let x = q_part[r * 8u + k];
let y = q_part[r * 8u + 8u + k];
a += vec4<f32>(dot(x, k0), dot(x, k1), dot(x, k2), dot(x, k3));
b += vec4<f32>(dot(y, k0), dot(y, k1), dot(y, k2), dot(y, k3));
}
scores[score_at(r, p)] = a;
scores[score_at(r + 1u, p)] = b;
}
}
workgroupBarrier();
for (var r = t; r < TILE; r += THREADS) {
let sees = min(max(start + r + 1u, base) - base, seen);
let before = largest[r];
var most = before;
for (var i = 0u; i < 8u; i++) {
let inside = vec4<u32>(i * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(sees);
let s = select(vec4<f32>(LOWEST), scores[score_at(r, i)], inside);
most = max(most, max(max(s.x, s.y), max(s.z, s.w)));
}
var total = 0.0;
for (var i = 0u; i < 8u; i++) {
let inside = vec4<u32>(i * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(sees);
let w = select(vec4<f32>(), exp(scores[score_at(r, i)] - most), inside);
scores[score_at(r, i)] = w;
total += w.x + w.y + w.z + w.w;
}
let factor = exp(before - most);
largest[r] = most;
totals[r] = totals[r] * factor + total;
factors[r] = factor;
}
workgroupBarrier();
s0 *= factors[m];
s1 *= factors[m + 1u];
s2 *= factors[m + 2u];
s3 *= factors[m + 3u];
s4 *= factors[m + 4u];
s5 *= factors[m + 5u];
s6 *= factors[m + 6u];
s7 *= factors[m + 7u];
for (var p = 0u; p < seen; p += 4u) {
let last = end - 1u;
let v0 = value4(cached + ((base + p) * quads + n) * 2u);
let v1 = value4(cached + (min(base + p + 1u, last) * quads + n) * 2u);
let v2 = value4(cached + (min(base + p + 2u, last) * quads + n) * 2u);
let v3 = value4(cached + (min(base + p + 3u, last) * quads + n) * 2u);
let i = p >> 2u;
s0 = add(s0, scores[m * 8u + i], v0, v1, v2, v3);
s1 = add(s1, scores[m * 8u + 8u + (i ^ 1u)], v0, v1, v2, v3);
s2 = add(s2, scores[m * 8u + 16u + (i ^ 2u)], v0, v1, v2, v3);
s3 = add(s3, scores[m * 8u + 24u + (i ^ 3u)], v0, v1, v2, v3);
s4 = add(s4, scores[m * 8u + 32u + (i ^ 4u)], v0, v1, v2, v3);
s5 = add(s5, scores[m * 8u + 40u + (i ^ 5u)], v0, v1, v2, v3);
s6 = add(s6, scores[m * 8u + 48u + (i ^ 6u)], v0, v1, v2, v3);
s7 = add(s7, scores[m * 8u + 56u + (i ^ 7u)], v0, v1, v2, v3);
}
}
let to = tile.x * params.out_stride + group.x * quads + n;
put(to, m, tile.y, s0);
put(to, m + 1u, tile.y, s1);
put(to, m + 2u, tile.y, s2);
put(to, m + 3u, tile.y, s3);
put(to, m + 4u, tile.y, s4);
put(to, m + 5u, tile.y, s5);
put(to, m + 6u, tile.y, s6);
put(to, m + 7u, tile.y, s7);
}
fn put(to: u32, row: u32, count: u32, sum: vec4<f32>) {
if (row < count) {
out[to + row * params.out_stride] = sum / totals[row];
}
}`,
  "cache/f16": `
alias CachedPair = u32;
fn to_cache(pair: vec2<f32>) -> CachedPair {
return pack2x16float(clamp(pair, vec2<f32>(-65504.0), vec2<f32>(65504.0)));
}
fn from_cache(cached: CachedPair) -> vec2<f32> {
return unpack2x16float(cached);
}`,
  "cache/f32": `
alias CachedPair = vec2<f32>;
fn to_cache(pair: vec2<f32>) -> CachedPair {
return pair;
}
fn from_cache(cached: CachedPair) -> vec2<f32> {
return cached;
}`,
  "choose": `
override THREADS: u32 = 256u;
override CHUNK: u32;
struct Params {
outputs: u32,
stride: u32,
best_stride: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> draws: array<Draw>;
@group(0) @binding(3) var<storage, read_write> bests: array<Best>;
var<workgroup> kept: array<Best, THREADS>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let row = group.y;
let end = min(params.outputs, (group.x + 1u) * CHUNK);
var best = Best(LOWEST, NO_ID);
for (var id = group.x * CHUNK + t; id < end; id += THREADS) {
best = better(best, Best(score_of(logits[row * params.stride + id], id, draws[row]), id));
}
kept[t] = best;
workgroupBarrier();
for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
if (t < half) {
kept[t] = better(kept[t], kept[t + half]);
}
workgroupBarrier();
}
if (t == 0u) {
bests[row * params.best_stride + group.x] = kept[0];
}
}`,
  "embed": `
override THREADS: u32 = 64u;
struct Params {
base: u32,
first: u32,
end: u32,
stride: u32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let token = rows[group.y].x;
if (token < params.first || token >= params.end) {
return;
}
let row = token - params.first;
let panel = params.base + (row / 16u) * panel_words();
for (var column = t; column < COLS; column += THREADS) {
x[group.y * params.stride + column] = element(panel, row % 16u, column);
}
}
fn input4(column: u32) -> vec4<f32> {
return vec4<f32>();
}`,
  "forms/bf16": `
const UNIT_COLS = 4u;
fn panel_words() -> u32 {
return COLS * 2u;
}
fn unit_count() -> u32 {
return (COLS + UNIT_COLS - 1u) / UNIT_COLS;
}
fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
let column = unit * UNIT_COLS + (lane >> 2u);
if (column >= COLS) {
return Sums();
}
let v = lane & 3u;
let word = weights[panel + column * 2u + (v >> 1u)];
let pairs = select(word.xy, word.zw, (v & 1u) == 1u);
let values = bitcast<vec4<f32>>(vec4<u32>(
pairs.x << 16u, pairs.x & 0xffff0000u, pairs.y << 16u, pairs.y & 0xffff0000u));
return Sums(values * input4(column & ~3u)[column & 3u], vec4<f32>());
}
fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
return sums.scaled;
}
fn panel_header(panel: u32, v: u32) -> Header {
return Header();
}
fn cell(panel: u32, header: Header, block: u32, v: u32, quad: u32) -> mat4x4<f32> {
let column = block * 32u + quad * 4u;
return mat4x4<f32>(
quad_of_rows(panel, column, v), quad_of_rows(panel, column + 1u, v),
quad_of_rows(panel, column + 2u, v), quad_of_rows(panel, column + 3u, v));
}
fn quad_of_rows(panel: u32, column: u32, v: u32) -> vec4<f32> {
if (column >= COLS) {
return vec4<f32>();
}
let word = weights[panel + column * 2u + (v >> 1u)];
let pairs = select(word.xy, word.zw, (v & 1u) == 1u);
return bitcast<vec4<f32>>(vec4<u32>(
pairs.x << 16u, pairs.x & 0xffff0000u, pairs.y << 16u, pairs.y & 0xffff0000u));
}
fn element(panel: u32, r: u32, column: u32) -> f32 {
let pair = weights[panel + column * 2u + (r >> 3u)][(r >> 1u) & 3u];
return bitcast<f32>(select(pair << 16u, pair & 0xffff0000u, (r & 1u) == 1u));
}`,
  "forms/f32": `
const UNIT_COLS = 4u;
fn panel_words() -> u32 {
return COLS * 4u;
}
fn unit_count() -> u32 {
return (COLS + UNIT_COLS - 1u) / UNIT_COLS;
}
fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
let column = unit * UNIT_COLS + (lane >> 2u);
if (column >= COLS) {
return Sums();
}
let values = bitcast<vec4<f32>>(weights[panel + column * 4u + (lane & 3u)]);
return Sums(values * input4(column & ~3u)[column & 3u], vec4<f32>());
}
fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
return sums.scaled;
}
fn panel_header(panel: u32, v: u32) -> Header {
return Header();
}
fn cell(panel: u32, header: Header, block: u32, v: u32, quad: u32) -> mat4x4<f32> {
let column = block * 32u + quad * 4u;
return mat4x4<f32>(
quad_of_rows(panel, column, v), quad_of_rows(panel, column + 1u, v),
quad_of_rows(panel, column + 2u, v), quad_of_rows(panel, column + 3u, v));
}
fn quad_of_rows(panel: u32, column: u32, v: u32) -> vec4<f32> {
if (column >= COLS) {
return vec4<f32>();
}
return bitcast<vec4<f32>>(weights[panel + column * 4u + v]);
}
fn element(panel: u32, r: u32, column: u32) -> f32 {
return bitcast<f32>(weights[panel + column * 4u + (r >> 2u)][r & 3u]);
}`,
  "forms/panel": `
override COLS: u32;
struct Sums {
scaled: vec4<f32>,
offset: vec4<f32>,
}
struct Header {
scales: vec4<f32>,
minima: vec4<f32>,
}
@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;`,
  "forms/q4": `
const HEADER_WORDS = 2u;
const TILE_WORDS = 18u;
const UNIT_COLS = 32u;
fn panel_words() -> u32 {
return HEADER_WORDS + TILE_WORDS * (COLS / UNIT_COLS);
}
fn unit_count() -> u32 {
return COLS / UNIT_COLS;
}
fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
let tile = panel + HEADER_WORDS + unit * TILE_WORDS;
let codes = weights[tile + 2u + lane];
let column = unit * UNIT_COLS + (lane >> 2u) * 4u;
let x0 = input4(column);
let x1 = input4(column + 16u);
let zero = 8.0 * (dot(x0, vec4<f32>(1.0)) + dot(x1, vec4<f32>(1.0)));
var products: vec4<f32>;
for (var r = 0u; r < 4u; r++) {
let low = bytes4(codes[r] & 0x0f0f0f0fu);
let high = bytes4((codes[r] >> 4u) & 0x0f0f0f0fu);
products[r] = dot(low, x0) + dot(high, x1) - zero;
}
return Sums(integers4(tile, lane & 3u) * products, vec4<f32>());
}
fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
return sums.scaled * powers_of_two(weights[panel], v);
}
fn panel_header(panel: u32, v: u32) -> Header {
return Header(powers_of_two(weights[panel], v), vec4<f32>());
}
fn codes(panel: u32, block: u32, v: u32, quad: u32) -> vec4<u32> {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let shift = select(0u, 4u, quad >= 4u);
let word = weights[tile + 2u + (quad & 3u) * 4u + v];
return (word >> vec4<u32>(shift)) & vec4<u32>(0x0f0f0f0fu);
}
fn block_scales(panel: u32, header: Header, block: u32, v: u32) -> Header {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let d = integers4(tile, v) * header.scales;
return Header(d, -8.0 * d);
}
fn element(panel: u32, r: u32, column: u32) -> f32 {
let tile = panel + HEADER_WORDS + (column / UNIT_COLS) * TILE_WORDS;
let k = column % UNIT_COLS;
let word = weights[tile + 2u + ((k % 16u) >> 2u) * 4u + (r >> 2u)][r & 3u];
let code = (word >> ((k & 3u) * 8u + (k >> 4u) * 4u)) & 15u;
return (f32(code) - 8.0) * (integer1(tile, r) * power_of_two1(weights[panel], r));
}`,
  "forms/q4m": `
const HEADER_WORDS = 2u;
const TILE_WORDS = 20u;
const UNIT_COLS = 32u;
fn panel_words() -> u32 {
return HEADER_WORDS + TILE_WORDS * (COLS / UNIT_COLS);
}
fn unit_count() -> u32 {
return COLS / UNIT_COLS;
}
fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
let tile = panel + HEADER_WORDS + unit * TILE_WORDS;
let codes = weights[tile + 4u + lane];
let column = unit * UNIT_COLS + (lane >> 2u) * 4u;
let x0 = input4(column);
let x1 = input4(column + 16u);
let sum = dot(x0, vec4<f32>(1.0)) + dot(x1, vec4<f32>(1.0));
var products: vec4<f32>;
for (var r = 0u; r < 4u; r++) {
let low = bytes4(codes[r] & 0x0f0f0f0fu);
let high = bytes4((codes[r] >> 4u) & 0x0f0f0f0fu);
products[r] = dot(low, x0) + dot(high, x1);
}
let v = lane & 3u;
return Sums(integers4(tile + 2u, v) * products, integers4(tile, v) * sum);
}
fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
return sums.scaled * powers_of_two(weights[panel], v) +
sums.offset * powers_of_two(weights[panel + 1u], v);
}
fn panel_header(panel: u32, v: u32) -> Header {
return Header(powers_of_two(weights[panel], v), powers_of_two(weights[panel + 1u], v));
}
fn codes(panel: u32, block: u32, v: u32, quad: u32) -> vec4<u32> {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let shift = select(0u, 4u, quad >= 4u);
let word = weights[tile + 4u + (quad & 3u) * 4u + v];
return (word >> vec4<u32>(shift)) & vec4<u32>(0x0f0f0f0fu);
}
fn block_scales(panel: u32, header: Header, block: u32, v: u32) -> Header {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let d = integers4(tile + 2u, v) * header.scales;
return Header(d, integers4(tile, v) * header.minima);
}
fn element(panel: u32, r: u32, column: u32) -> f32 {
let tile = panel + HEADER_WORDS + (column / UNIT_COLS) * TILE_WORDS;
let k = column % UNIT_COLS;
let word = weights[tile + 4u + ((k % 16u) >> 2u) * 4u + (r >> 2u)][r & 3u];
let code = (word >> ((k & 3u) * 8u + (k >> 4u) * 4u)) & 15u;
let scale = integer1(tile + 2u, r) * power_of_two1(weights[panel], r);
return f32(code) * scale + integer1(tile, r) * power_of_two1(weights[panel + 1u], r);
}`,
  "forms/q4s": `
const HEADER_WORDS = 2u;
const TILE_WORDS = 18u;
const UNIT_COLS = 32u;
fn panel_words() -> u32 {
return HEADER_WORDS + TILE_WORDS * (COLS / UNIT_COLS);
}
fn unit_count() -> u32 {
return COLS / UNIT_COLS;
}
fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
let tile = panel + HEADER_WORDS + unit * TILE_WORDS;
let codes = weights[tile + 2u + lane];
let column = unit * UNIT_COLS + (lane >> 2u) * 4u;
let x0 = input4(column);
let x1 = input4(column + 16u);
let sum = dot(x0, vec4<f32>(1.0)) + dot(x1, vec4<f32>(1.0));
var products: vec4<f32>;
for (var r = 0u; r < 4u; r++) {
let low = bytes4(codes[r] & 0x0f0f0f0fu);
let high = bytes4((codes[r] >> 4u) & 0x0f0f0f0fu);
products[r] = dot(low, x0) + dot(high, x1);
}
let v = lane & 3u;
return Sums(bytes4(weights[tile + 1u][v]) * products, vec4<f32>(unpack4xI8(weights[tile][v])) * sum);
}
fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
return sums.scaled * powers_of_two(weights[panel], v) +
sums.offset * powers_of_two(weights[panel + 1u], v);
}
fn panel_header(panel: u32, v: u32) -> Header {
return Header(powers_of_two(weights[panel], v), powers_of_two(weights[panel + 1u], v));
}
fn codes(panel: u32, block: u32, v: u32, quad: u32) -> vec4<u32> {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let shift = select(0u, 4u, quad >= 4u);
let word = weights[tile + 2u + (quad & 3u) * 4u + v];
return (word >> vec4<u32>(shift)) & vec4<u32>(0x0f0f0f0fu);
}
fn block_scales(panel: u32, header: Header, block: u32, v: u32) -> Header {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let d = bytes4(weights[tile + 1u][v]) * header.scales;
return Header(d, vec4<f32>(unpack4xI8(weights[tile][v])) * header.minima);
}
fn element(panel: u32, r: u32, column: u32) -> f32 {
let tile = panel + HEADER_WORDS + (column / UNIT_COLS) * TILE_WORDS;
let k = column % UNIT_COLS;
let word = weights[tile + 2u + ((k % 16u) >> 2u) * 4u + (r >> 2u)][r & 3u];
let code = (word >> ((k & 3u) * 8u + (k >> 4u) * 4u)) & 15u;
let scale = bytes4(weights[tile + 1u][r >> 2u])[r & 3u] * power_of_two1(weights[panel], r);
let minimum = f32(unpack4xI8(weights[tile][r >> 2u])[r & 3u]) * power_of_two1(weights[panel + 1u], r);
return f32(code) * scale + minimum;
}`,
  "forms/q6m": `
const HEADER_WORDS = 2u;
const TILE_WORDS = 28u;
const UNIT_COLS = 32u;
fn panel_words() -> u32 {
return HEADER_WORDS + TILE_WORDS * (COLS / UNIT_COLS);
}
fn unit_count() -> u32 {
return COLS / UNIT_COLS;
}
fn fourth_group(a: vec4<u32>, b: vec4<u32>, c: vec4<u32>) -> vec4<u32> {
let top = vec4<u32>(0x03030303u);
return ((a >> vec4<u32>(6u)) & top) | (((b >> vec4<u32>(6u)) & top) << vec4<u32>(2u)) |
(((c >> vec4<u32>(6u)) & top) << vec4<u32>(4u));
}
fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
let tile = panel + HEADER_WORDS + unit * TILE_WORDS;
let v = lane & 3u;
let half = lane >> 3u;
let isSecond = (lane & 4u) != 0u;
let at = tile + 4u + v * 6u + half * 3u;
let a = weights[at];
let b = weights[at + 1u];
let c = weights[at + 2u];
let six = vec4<u32>(0x3f3f3f3fu);
let first = select(a & six, c & six, isSecond);
let second = select(b & six, fourth_group(a, b, c), isSecond);
let column = unit * UNIT_COLS + half * 16u + select(0u, 8u, isSecond);
let x0 = input4(column);
let x1 = input4(column + 4u);
let sum = dot(x0, vec4<f32>(1.0)) + dot(x1, vec4<f32>(1.0));
var products: vec4<f32>;
for (var r = 0u; r < 4u; r++) {
products[r] = dot(bytes4(first[r]), x0) + dot(bytes4(second[r]), x1);
}
return Sums(integers4(tile + 2u, v) * products, integers4(tile, v) * sum);
}
fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
return sums.scaled * powers_of_two(weights[panel], v) +
sums.offset * powers_of_two(weights[panel + 1u], v);
}
fn panel_header(panel: u32, v: u32) -> Header {
return Header(powers_of_two(weights[panel], v), powers_of_two(weights[panel + 1u], v));
}
fn codes(panel: u32, block: u32, v: u32, quad: u32) -> vec4<u32> {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let at = tile + 4u + v * 6u + (quad >> 2u) * 3u;
let i = quad & 3u;
if (i == 3u) {
return fourth_group(weights[at], weights[at + 1u], weights[at + 2u]);
}
return weights[at + i] & vec4<u32>(0x3f3f3f3fu);
}
fn block_scales(panel: u32, header: Header, block: u32, v: u32) -> Header {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let d = integers4(tile + 2u, v) * header.scales;
return Header(d, integers4(tile, v) * header.minima);
}
fn element(panel: u32, r: u32, column: u32) -> f32 {
let tile = panel + HEADER_WORDS + (column / UNIT_COLS) * TILE_WORDS;
let k = column % UNIT_COLS;
let at = tile + 4u + (r >> 2u) * 6u + (k >> 4u) * 3u;
let group = (k >> 2u) & 3u;
let shift = (k & 3u) * 8u;
let fourth = fourth_group(weights[at], weights[at + 1u], weights[at + 2u])[r & 3u];
let word = select(weights[at + min(group, 2u)][r & 3u], fourth, group == 3u);
let code = (word >> shift) & 63u;
let scale = integer1(tile + 2u, r) * power_of_two1(weights[panel], r);
return f32(code) * scale + integer1(tile, r) * power_of_two1(weights[panel + 1u], r);
}`,
  "forms/q8": `
const HEADER_WORDS = 2u;
const TILE_WORDS = 34u;
const UNIT_COLS = 32u;
fn panel_words() -> u32 {
return HEADER_WORDS + TILE_WORDS * (COLS / UNIT_COLS);
}
fn unit_count() -> u32 {
return COLS / UNIT_COLS;
}
fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
let tile = panel + HEADER_WORDS + unit * TILE_WORDS;
let first = weights[tile + 2u + lane];
let second = weights[tile + 18u + lane];
let column = unit * UNIT_COLS + (lane >> 2u) * 4u;
let x0 = input4(column);
let x1 = input4(column + 16u);
var products: vec4<f32>;
for (var r = 0u; r < 4u; r++) {
products[r] = dot(bytes4(first[r]) - 128.0, x0) + dot(bytes4(second[r]) - 128.0, x1);
}
return Sums(integers4(tile, lane & 3u) * products, vec4<f32>());
}
fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
return sums.scaled * powers_of_two(weights[panel], v);
}
fn panel_header(panel: u32, v: u32) -> Header {
return Header(powers_of_two(weights[panel], v), vec4<f32>());
}
fn codes(panel: u32, block: u32, v: u32, quad: u32) -> vec4<u32> {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
return weights[tile + 2u + quad * 4u + v] ^ vec4<u32>(0x80808080u);
}
fn block_scales(panel: u32, header: Header, block: u32, v: u32) -> Header {
let tile = panel + HEADER_WORDS + block * TILE_WORDS;
let d = integers4(tile, v) * header.scales;
return Header(d, vec4<f32>());
}
fn element(panel: u32, r: u32, column: u32) -> f32 {
let tile = panel + HEADER_WORDS + (column / UNIT_COLS) * TILE_WORDS;
let k = column % UNIT_COLS;
let word = weights[tile + 2u + (k >> 2u) * 4u + (r >> 2u)][r & 3u];
let code = (word >> ((k & 3u) * 8u)) & 255u;
return (f32(code) - 128.0) * (integer1(tile, r) * power_of_two1(weights[panel], r));
}`,
  "forms/scales": `
fn powers_of_two(word: vec4<u32>, v: u32) -> vec4<f32> {
let exponents = unpack4xI8(word[v]);
return bitcast<vec4<f32>>((exponents + 127) << vec4<u32>(23u));
}
fn integers4(at: u32, v: u32) -> vec4<f32> {
let word = weights[at + (v >> 1u)];
let pairs = bitcast<vec2<i32>>(select(word.xy, word.zw, (v & 1u) == 1u));
let low = (pairs << vec2<u32>(16u)) >> vec2<u32>(16u);
let high = pairs >> vec2<u32>(16u);
return vec4<f32>(vec4<i32>(low.x, high.x, low.y, high.y));
}
fn integer1(at: u32, r: u32) -> f32 {
let pair = bitcast<i32>(weights[at + (r >> 3u)][(r >> 1u) & 3u]);
return f32(select((pair << 16u) >> 16u, pair >> 16u, (r & 1u) == 1u));
}
fn power_of_two1(word: vec4<u32>, r: u32) -> f32 {
let exponent = unpack4xI8(word[r >> 2u])[r & 3u];
return bitcast<f32>((exponent + 127) << 23u);
}
fn bytes4(word: u32) -> vec4<f32> {
return vec4<f32>(unpack4xU8(word));
}
fn cell(panel: u32, header: Header, block: u32, v: u32, quad: u32) -> mat4x4<f32> {
let rows = codes(panel, block, v, quad);
let columns = transpose(mat4x4<f32>(
signed4(rows.x), signed4(rows.y), signed4(rows.z), signed4(rows.w)));
let s = block_scales(panel, header, block, v);
return mat4x4<f32>(
columns[0] * s.scales + s.minima, columns[1] * s.scales + s.minima,
columns[2] * s.scales + s.minima, columns[3] * s.scales + s.minima);
}
fn signed4(word: u32) -> vec4<f32> {
return vec4<f32>(unpack4xI8(word));
}`,
  "gate_up": `
override HAS_BIAS: bool = false;
struct Params {
x_stride: u32,
y_stride: u32,
norm: u32,
outputs: u32,
gate: u32,
up: u32,
gate_bias: u32,
up_bias: u32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let gate_panel = params.gate + group.x * panel_words();
let up_panel = params.up + group.x * panel_words();
let lane = t & 15u;
let first_row = group.y * ROWS;
norm_start = params.norm;
var gates: array<Sums, MOST_ROWS>;
var ups: array<Sums, MOST_ROWS>;
for (var unit = t >> 4u; unit < unit_count(); unit += THREADS / 16u) {
for (var r = 0u; r < ROWS; r++) {
input_row = (first_row + r) * params.x_stride;
let gate = unit_sums(gate_panel, unit, lane);
gates[r].scaled += gate.scaled;
gates[r].offset += gate.offset;
let up = unit_sums(up_panel, unit, lane);
ups[r].scaled += up.scaled;
ups[r].offset += up.offset;
}
}
let squares = own_squares(t, first_row * params.x_stride, params.x_stride);
reduce(t, vec4<f32>(), squares);
let scales = norm_scales(all_beside());
let output = group.x * 16u + t;
for (var r = 0u; r < ROWS; r++) {
reduce(t, total(gate_panel, lane & 3u, gates[r]), total(up_panel, lane & 3u, ups[r]));
if (t < 16u && output < params.outputs) {
var gate = row_sum(t) * scales[r];
var up = row_beside(t) * scales[r];
if (HAS_BIAS) {
gate += biases[params.gate_bias + output];
up += biases[params.up_bias + output];
}
y[(first_row + r) * params.y_stride + output] = activate(gate) * up;
}
}
}`,
  "glu": `
override THREADS: u32 = 64u;
struct Params {
cols: u32,
up_column: u32,
x_stride: u32,
y_stride: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let column = group.x * THREADS + t;
if (column >= params.cols) {
return;
}
let source = group.y * params.x_stride + column;
y[group.y * params.y_stride + column] = activate(x[source]) * x[source + params.up_column];
}`,
  "head": `
override HAS_BIAS: bool = false;
override LOGITS: bool = false;
struct Params {
x_stride: u32,
y_stride: u32,
norm: u32,
base: u32,
first: u32,
outputs: u32,
bias: u32,
best_stride: u32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
@group(0) @binding(6) var<storage, read> draws: array<Draw>;
@group(0) @binding(7) var<storage, read_write> bests: array<Best>;
var<workgroup> kept: array<Best, 16>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let panel = params.base + group.x * panel_words();
let lane = t & 15u;
let first_row = group.y * ROWS;
norm_start = params.norm;
var own: array<Sums, MOST_ROWS>;
for (var unit = t >> 4u; unit < unit_count(); unit += THREADS / 16u) {
for (var r = 0u; r < ROWS; r++) {
input_row = (first_row + r) * params.x_stride;
let sums_of_unit = unit_sums(panel, unit, lane);
own[r].scaled += sums_of_unit.scaled;
own[r].offset += sums_of_unit.offset;
}
}
let squares = own_squares(t, first_row * params.x_stride, params.x_stride);
var scales = vec4<f32>(1.0);
let output = group.x * 16u + t;
let left = params.outputs - group.x * 16u;
for (var r = 0u; r < ROWS; r++) {
reduce(t, total(panel, lane & 3u, own[r]), squares);
let row = first_row + r;
if (t < 16u) {
var best = Best(LOWEST, NO_ID);
if (t < left) {
if (r == 0u) {
scales = norm_scales(all_beside());
}
var logit = row_sum(t) * scales[r];
if (HAS_BIAS) {
logit += biases[params.bias + output];
}
let id = params.first + output;
if (LOGITS) {
logits[row * params.y_stride + id] = logit;
}
best = better(best, Best(score_of(logit, id, draws[row]), id));
}
kept[t] = best;
}
workgroupBarrier();
if (t < 4u) {
kept[t] = better(better(kept[t], kept[t + 4u]), better(kept[t + 8u], kept[t + 12u]));
}
workgroupBarrier();
if (t == 0u) {
bests[row * params.best_stride + (params.first >> 4u) + group.x] =
better(better(kept[0], kept[1]), better(kept[2], kept[3]));
}
}
}`,
  "largest": `
override THREADS: u32 = 256u;
override CHUNK: u32;
override KEPT: u32;
override FIRST: bool;
struct Params {
count: u32,
start: u32,
to: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> candidates: array<Best>;
@group(0) @binding(3) var<storage, read_write> kept: array<Best>;
var<workgroup> sorted: array<Best, CHUNK>;
fn candidate(i: u32) -> Best {
if (i >= params.count) {
return Best(LOWEST, NO_ID);
}
if (!FIRST) {
return candidates[i];
}
return better(Best(LOWEST, NO_ID), Best(logits[params.start + i], i));
}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
for (var i = t; i < CHUNK; i += THREADS) {
sorted[i] = candidate(group.x * CHUNK + i);
}
workgroupBarrier();
for (var size = 2u; size <= CHUNK; size <<= 1u) {
for (var distance = size >> 1u; distance > 0u; distance >>= 1u) {
for (var n = t; n < CHUNK / 2u; n += THREADS) {
let i = 2u * n - (n & (distance - 1u));
let a = sorted[i];
let b = sorted[i + distance];
let isSwapped = better(a, b).id != a.id;
if (isSwapped == ((i & size) == 0u)) {
sorted[i] = b;
sorted[i + distance] = a;
}
}
workgroupBarrier();
}
}
for (var i = t; i < KEPT; i += THREADS) {
kept[params.to + group.x * KEPT + i] = sorted[i];
}
}`,
  "masked_attention": `
override THREADS: u32 = 64u;
override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override CTX: u32;
struct Params {
q_stride: u32,
q_column: u32,
out_stride: u32,
first_slot: u32,
slots: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> keys: array<CachedPair>;
@group(0) @binding(4) var<storage, read> values: array<CachedPair>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read> masks: array<u32>;
@group(0) @binding(7) var<storage, read_write> probabilities: array<f32>;
const PAIRS = 4u;
const LOWEST = -3.0e38;
const NONE = 0xffffffffu;
var<workgroup> query: array<vec2<f32>, HEAD_DIM / 2u>;
var<workgroup> reduced: array<f32, THREADS>;
var<workgroup> weights: array<f32, THREADS>;
fn is_seen(key: u32, own: u32, bits: u32) -> bool {
if (bits == NONE) {
return key <= own;
}
return ((masks[bits + (key >> 5u)] >> (key & 31u)) & 1u) == 1u;
}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let half = HEAD_DIM / 2u;
let row = rows[group.y];
let slot = row.y - params.first_slot;
if (slot >= params.slots) {
return;
}
let count = masks[4u * group.y];
let bits = masks[4u * group.y + 1u];
let shown = masks[4u * group.y + 2u];
let first = (slot * KV_HEADS + group.x / (HEADS / KV_HEADS)) * CTX * half;
let scale = 1.0 / sqrt(f32(HEAD_DIM));
let source = group.y * params.q_stride + params.q_column + group.x * HEAD_DIM;
for (var i = t; i < half; i += THREADS) {
query[i] = vec2<f32>(q[source + 2u * i], q[source + 2u * i + 1u]) * scale;
}
var sums: array<vec2<f32>, PAIRS>;
var largest = LOWEST;
var total = 0.0;
for (var start = 0u; start < count; start += THREADS) {
workgroupBarrier();
let own = start + t;
let seen = own < count && is_seen(own, row.z, bits);
var score = LOWEST;
if (seen) {
score = 0.0;
let key = first + own * half;
for (var i = 0u; i < half; i++) {
score += dot(query[i], from_cache(keys[key + i]));
}
}
if (shown != NONE && own < count) {
probabilities[shown + group.x * count + own] = score;
}
reduced[t] = score;
workgroupBarrier();
for (var n = THREADS / 2u; n > 0u; n >>= 1u) {
if (t < n) {
reduced[t] = max(reduced[t], reduced[t + n]);
}
workgroupBarrier();
}
let next = max(largest, workgroupUniformLoad(&reduced[0]));
let weight = select(0.0, exp(score - next), seen);
weights[t] = weight;
reduced[t] = weight;
workgroupBarrier();
for (var n = THREADS / 2u; n > 0u; n >>= 1u) {
if (t < n) {
reduced[t] += reduced[t + n];
}
workgroupBarrier();
}
let factor = exp(largest - next);
total = total * factor + reduced[0];
largest = next;
let tile = min(THREADS, count - start);
for (var p = 0u; p < PAIRS; p++) {
let i = t + p * THREADS;
if (i < half) {
var sum = sums[p] * factor;
for (var k = 0u; k < tile; k++) {
sum += weights[k] * from_cache(values[first + (start + k) * half + i]);
}
sums[p] = sum;
}
}
}
if (total == 0.0) {
total = 1.0;
}
let to = group.y * params.out_stride + group.x * HEAD_DIM;
for (var p = 0u; p < PAIRS; p++) {
let i = t + p * THREADS;
if (i < half) {
out[to + 2u * i] = sums[p].x / total;
out[to + 2u * i + 1u] = sums[p].y / total;
}
}
if (shown == NONE) {
return;
}
for (var own = t; own < count; own += THREADS) {
let at = shown + group.x * count + own;
probabilities[at] =
select(0.0, exp(probabilities[at] - largest) / total, is_seen(own, row.z, bits));
}
}`,
  "matmul": `
override THREADS: u32 = 64u;
override ACCUMULATE: bool = false;
override HAS_BIAS: bool = false;
struct Params {
base: u32,
outputs: u32,
x_stride: u32,
y_stride: u32,
y_column: u32,
bias: u32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
var<workgroup> sums: array<vec4<f32>, THREADS>;
var<private> input_row: u32;
fn input4(column: u32) -> vec4<f32> {
return x[input_row + (column >> 2u)];
}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let panel = params.base + group.x * panel_words();
let lane = t & 15u;
input_row = group.y * params.x_stride;
var own = Sums();
for (var unit = t >> 4u; unit < unit_count(); unit += THREADS / 16u) {
let part = unit_sums(panel, unit, lane);
own.scaled += part.scaled;
own.offset += part.offset;
}
sums[t] = total(panel, lane & 3u, own);
workgroupBarrier();
for (var half = THREADS / 2u; half >= 4u; half >>= 1u) {
if (t < half) {
sums[t] += sums[t + half];
}
workgroupBarrier();
}
let output = group.x * 16u + t;
if (t >= 16u || output >= params.outputs) {
return;
}
var sum = sums[t >> 2u][t & 3u];
if (HAS_BIAS) {
sum += biases[params.bias + output];
}
let at = group.y * params.y_stride + params.y_column + output;
if (ACCUMULATE) {
sum += y[at];
}
y[at] = sum;
}`,
  "matmul_tile": `
override TILE_ROWS: u32;
override THREADS: u32;
override ACCUMULATE: bool = false;
override HAS_BIAS: bool = false;
struct Params {
base: u32,
outputs: u32,
x_stride: u32,
y_stride: u32,
y_column: u32,
bias: u32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
const QUADS = 8u;
const OUTPUT_QUADS = 16u;
var<workgroup> tile_x: array<Number4, TILE_ROWS * QUADS>;
var<workgroup> tile_w: array<Number4, 512>;
fn tile_input(row: u32, column: u32) -> vec4<f32> {
let value = x[row * params.x_stride + (column >> 2u)];
if (COLS % 32u == 0u) {
return value;
}
return select(vec4<f32>(), value, vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(COLS));
}
fn input4(column: u32) -> vec4<f32> {
return vec4<f32>();
}
fn put(row: u32, output: u32, sum: vec4<f32>) {
if (output >= params.outputs) {
return;
}
let count = min(4u, params.outputs - output);
let at = (row * params.y_stride + params.y_column + output) >> 2u;
var value = sum;
if (HAS_BIAS) {
for (var i = 0u; i < count; i++) {
value[i] += biases[params.bias + output + i];
}
}
if (ACCUMULATE) {
value += y[at];
}
if (count == 4u) {
y[at] = value;
} else {
for (var i = 0u; i < count; i++) {
y[at][i] = value[i];
}
}
}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let first = group.x * TILE_ROWS;
let v = t & 3u;
let p = (t >> 2u) & 3u;
let last_panel = (params.outputs - 1u) / 16u;
let panel = params.base + min(group.y * 4u + p, last_panel) * panel_words();
let header = panel_header(panel, v);
let n = t & 15u;
let m = (t >> 4u) * 8u;
var s0 = vec4<f32>();
var s1 = vec4<f32>();
var s2 = vec4<f32>();
var s3 = vec4<f32>();
var s4 = vec4<f32>();
var s5 = vec4<f32>();
var s6 = vec4<f32>();
var s7 = vec4<f32>();
for (var column = 0u; column < COLS; column += 32u) {
for (var i = t; i < TILE_ROWS * QUADS; i += THREADS) {
tile_x[i] = to_number4(tile_input(first + i / QUADS, column + (i % QUADS) * 4u));
}
for (var quad = t >> 4u; quad < QUADS; quad += THREADS / 16u) {
let own = cell(panel, header, column / 32u, v, quad);
let at = quad * 4u * OUTPUT_QUADS + p * 4u + v;
tile_w[at] = to_number4(own[0]);
tile_w[at + OUTPUT_QUADS] = to_number4(own[1]);
tile_w[at + 2u * OUTPUT_QUADS] = to_number4(own[2]);
tile_w[at + 3u * OUTPUT_QUADS] = to_number4(own[3]);
}
workgroupBarrier();
for (var quad = 0u; quad < QUADS; quad++) {
let k = quad * 4u * OUTPUT_QUADS + n;
let w0 = tile_w[k];
let w1 = tile_w[k + OUTPUT_QUADS];
let w2 = tile_w[k + 2u * OUTPUT_QUADS];
let w3 = tile_w[k + 3u * OUTPUT_QUADS];
let at = m * QUADS + quad;
s0 = add(s0, tile_x[at], w0, w1, w2, w3);
s1 = add(s1, tile_x[at + QUADS], w0, w1, w2, w3);
s2 = add(s2, tile_x[at + 2u * QUADS], w0, w1, w2, w3);
s3 = add(s3, tile_x[at + 3u * QUADS], w0, w1, w2, w3);
s4 = add(s4, tile_x[at + 4u * QUADS], w0, w1, w2, w3);
s5 = add(s5, tile_x[at + 5u * QUADS], w0, w1, w2, w3);
s6 = add(s6, tile_x[at + 6u * QUADS], w0, w1, w2, w3);
s7 = add(s7, tile_x[at + 7u * QUADS], w0, w1, w2, w3);
}
workgroupBarrier();
}
let output = group.y * 64u + n * 4u;
let row = first + m;
put(row, output, s0);
put(row + 1u, output, s1);
put(row + 2u, output, s2);
put(row + 3u, output, s3);
put(row + 4u, output, s4);
put(row + 5u, output, s5);
put(row + 6u, output, s6);
put(row + 7u, output, s7);
}`,
  "matmul_tile_int8": `
override TILE_ROWS: u32;
override THREADS: u32;
override ACCUMULATE: bool = false;
override HAS_BIAS: bool = false;
struct Params {
base: u32,
outputs: u32,
x_stride: u32,
y_stride: u32,
y_column: u32,
bias: u32,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
@group(0) @binding(5) var<storage, read> x_scales: array<vec2<f32>>;
const QUADS = 8u;
const OUTPUT_QUADS = 16u;
var<workgroup> tile_x: array<vec4<u32>, TILE_ROWS * 2u>;
var<workgroup> tile_x_scales: array<vec2<f32>, TILE_ROWS>;
var<workgroup> tile_w: array<vec4<u32>, 128>;
var<workgroup> tile_d: array<vec4<f32>, OUTPUT_QUADS>;
var<workgroup> tile_m: array<vec4<f32>, OUTPUT_QUADS>;
fn input4(column: u32) -> vec4<f32> {
return vec4<f32>();
}
fn dots(x: u32, w: vec4<u32>) -> vec4<i32> {
return vec4<i32>(
dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}
fn add(sum: vec4<f32>, row: u32, n: u32) -> vec4<f32> {
let first = tile_x[row * 2u];
let second = tile_x[row * 2u + 1u];
var p = dots(first.x, tile_w[n]);
p += dots(first.y, tile_w[n + OUTPUT_QUADS]);
p += dots(first.z, tile_w[n + 2u * OUTPUT_QUADS]);
p += dots(first.w, tile_w[n + 3u * OUTPUT_QUADS]);
p += dots(second.x, tile_w[n + 4u * OUTPUT_QUADS]);
p += dots(second.y, tile_w[n + 5u * OUTPUT_QUADS]);
p += dots(second.z, tile_w[n + 6u * OUTPUT_QUADS]);
p += dots(second.w, tile_w[n + 7u * OUTPUT_QUADS]);
let scale = tile_x_scales[row];
return sum + vec4<f32>(p) * tile_d[n] * scale.x + tile_m[n] * scale.y;
}
fn put(row: u32, output: u32, sum: vec4<f32>) {
if (output >= params.outputs) {
return;
}
let count = min(4u, params.outputs - output);
let at = (row * params.y_stride + params.y_column + output) >> 2u;
var value = sum;
if (HAS_BIAS) {
for (var i = 0u; i < count; i++) {
value[i] += biases[params.bias + output + i];
}
}
if (ACCUMULATE) {
value += y[at];
}
if (count == 4u) {
y[at] = value;
} else {
for (var i = 0u; i < count; i++) {
y[at][i] = value[i];
}
}
}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let blocks = COLS / 32u;
let first = group.x * TILE_ROWS;
let v = t & 3u;
let p = (t >> 2u) & 3u;
let last_panel = (params.outputs - 1u) / 16u;
let panel = params.base + min(group.y * 4u + p, last_panel) * panel_words();
let header = panel_header(panel, v);
let n = t & 15u;
let m = (t >> 4u) * 8u;
var s0 = vec4<f32>();
var s1 = vec4<f32>();
var s2 = vec4<f32>();
var s3 = vec4<f32>();
var s4 = vec4<f32>();
var s5 = vec4<f32>();
var s6 = vec4<f32>();
var s7 = vec4<f32>();
for (var block = 0u; block < blocks; block++) {
for (var i = t; i < TILE_ROWS * 2u; i += THREADS) {
tile_x[i] = x[((first + (i >> 1u)) * blocks + block) * 2u + (i & 1u)];
}
if (t < TILE_ROWS) {
tile_x_scales[t] = x_scales[(first + t) * blocks + block];
}
for (var quad = t >> 4u; quad < QUADS; quad += THREADS / 16u) {
tile_w[quad * OUTPUT_QUADS + n] = codes(panel, block, v, quad);
}
if (t < OUTPUT_QUADS) {
let s = block_scales(panel, header, block, v);
tile_d[t] = s.scales;
tile_m[t] = s.minima;
}
workgroupBarrier();
s0 = add(s0, m, n);
s1 = add(s1, m + 1u, n);
s2 = add(s2, m + 2u, n);
s3 = add(s3, m + 3u, n);
s4 = add(s4, m + 4u, n);
s5 = add(s5, m + 5u, n);
s6 = add(s6, m + 6u, n);
s7 = add(s7, m + 7u, n);
workgroupBarrier();
}
let output = group.y * 64u + n * 4u;
let row = first + m;
put(row, output, s0);
put(row + 1u, output, s1);
put(row + 2u, output, s2);
put(row + 3u, output, s3);
put(row + 4u, output, s4);
put(row + 5u, output, s5);
put(row + 6u, output, s6);
put(row + 7u, output, s7);
}`,
  "matvec": `
override ACCUMULATE: bool = false;
override HAS_BIAS: bool = false;
struct Params {
x_stride: u32,
y_stride: u32,
norm: u32,
parts: array<vec4<u32>, 3>,
bias: vec4<u32>,
}
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
var part = params.parts[0];
var bias = params.bias.x;
for (var i = 1u; i < 3u; i++) {
if (group.x >= params.parts[i].x) {
part = params.parts[i];
bias = params.bias[i];
}
}
let panel = part.y + (group.x - part.x) * panel_words();
let lane = t & 15u;
let first_row = group.y * ROWS;
norm_start = params.norm;
var own: array<Sums, MOST_ROWS>;
for (var unit = t >> 4u; unit < unit_count(); unit += THREADS / 16u) {
for (var r = 0u; r < ROWS; r++) {
input_row = (first_row + r) * params.x_stride;
let sums_of_unit = unit_sums(panel, unit, lane);
own[r].scaled += sums_of_unit.scaled;
own[r].offset += sums_of_unit.offset;
}
}
let squares = own_squares(t, first_row * params.x_stride, params.x_stride);
var scales = vec4<f32>(1.0);
let output = (group.x - part.x) * 16u + t;
for (var r = 0u; r < ROWS; r++) {
reduce(t, total(panel, lane & 3u, own[r]), squares);
if (t < 16u && output < part.z) {
if (NORM && r == 0u) {
scales = norm_scales(all_beside());
}
var sum = row_sum(t) * scales[r];
if (HAS_BIAS) {
sum += biases[bias + output];
}
let at = (first_row + r) * params.y_stride + part.w + output;
if (ACCUMULATE) {
sum += y[at];
}
y[at] = sum;
}
}
}`,
  "noise": `
struct Draw {
temperature: f32,
seed_low: u32,
seed_high: u32,
index: u32,
at: u32,
}
struct Best {
score: f32,
id: u32,
}
const LOWEST = -3.4028234e38;
const NO_ID = 0xffffffffu;
fn noise_bits(key: vec4<u32>) -> u32 {
var v = key * 1664525u + 1013904223u;
v.x += v.y * v.w;
v.y += v.z * v.x;
v.z += v.x * v.y;
v.w += v.y * v.z;
v ^= v >> vec4<u32>(16u);
v.x += v.y * v.w;
v.y += v.z * v.x;
v.z += v.x * v.y;
v.w += v.y * v.z;
var w = v.w;
w = (w ^ (w >> 16u)) * 0x7feb352du;
w = (w ^ (w >> 15u)) * 0x846ca68bu;
return w ^ (w >> 16u);
}
fn gumbel(bits: u32) -> f32 {
let v = select(f32(bits >> 8u) * 0x1p-24f, f32(bits | 1u) * 0x1p-32f, bits < 0x1000000u);
let series = v * (1.0 + v * (1.0 / 2.0 + v * (1.0 / 3.0 + v * (1.0 / 4.0 + v * (1.0 / 5.0 + v / 6.0)))));
return -log(select(-log(1.0 - v), series, v < 0.0625));
}
fn score_of(logit: f32, id: u32, draw: Draw) -> f32 {
if (draw.temperature == 0.0) {
return logit;
}
let bits = noise_bits(vec4<u32>(draw.seed_low, draw.seed_high, draw.index, id));
return logit / draw.temperature + gumbel(bits);
}
fn better(a: Best, b: Best) -> Best {
if (b.score > a.score || (b.score == a.score && b.id < a.id)) {
return b;
}
return a;
}`,
  "numbers/f16": `
enable f16;
alias Number4 = vec4<f16>;
fn to_number4(value: vec4<f32>) -> Number4 {
return Number4(clamp(value, vec4<f32>(-65504.0), vec4<f32>(65504.0)));
}
fn add(sum: vec4<f32>, a: Number4, w0: Number4, w1: Number4, w2: Number4, w3: Number4) -> vec4<f32> {
return sum + vec4<f32>(w0 * a.x + w1 * a.y + w2 * a.z + w3 * a.w);
}`,
  "numbers/f32": `
alias Number4 = vec4<f32>;
fn to_number4(value: vec4<f32>) -> Number4 {
return value;
}
fn add(sum: vec4<f32>, a: Number4, w0: Number4, w1: Number4, w2: Number4, w3: Number4) -> vec4<f32> {
return sum + w0 * a.x + w1 * a.y + w2 * a.z + w3 * a.w;
}`,
  "pick": `
override THREADS: u32 = 256u;
struct Params {
count: u32,
stride: u32,
room: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bests: array<Best>;
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> draws: array<Draw>;
@group(0) @binding(4) var<storage, read_write> chosen: array<u32>;
var<workgroup> kept: array<Best, THREADS>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let row = group.y;
var best = Best(LOWEST, NO_ID);
for (var i = t; i < params.count; i += THREADS) {
best = better(best, bests[row * params.stride + i]);
}
kept[t] = best;
workgroupBarrier();
for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
if (t < half) {
kept[t] = better(kept[t], kept[t + half]);
}
workgroupBarrier();
}
if (t == 0u) {
var token = kept[0].id;
if (token == NO_ID) {
token = 0u;
}
let at = draws[row].at;
chosen[row * params.room + at] = token;
draws[row].at = (at + 1u) % params.room;
draws[row].index += 1u;
let place = rows[row];
rows[row] = vec4<u32>(token, place.y, place.z + 1u, place.w + 1u);
}
}`,
  "quantize_rows": `
const THREADS = 64u;
struct Params {
quads: u32,
x_stride: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> scales: array<vec2<f32>>;
var<workgroup> largest: array<f32, THREADS>;
var<workgroup> sums: array<i32, THREADS>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let quad = group.x * THREADS + t;
var value = vec4<f32>();
if (quad < params.quads) {
value = x[group.y * params.x_stride + quad];
}
let size = abs(value);
largest[t] = max(max(size.x, size.y), max(size.z, size.w));
workgroupBarrier();
let first = t & ~7u;
var most = 0.0;
for (var i = 0u; i < 8u; i++) {
most = max(most, largest[first + i]);
}
let q = vec4<i32>(round(value * select(0.0, 127.0 / most, most > 0.0)));
sums[t] = q.x + q.y + q.z + q.w;
workgroupBarrier();
if (quad >= params.quads) {
return;
}
codes[group.y * params.quads + quad] = pack4xI8(q);
if (t == first) {
var sum = 0;
for (var i = 0u; i < 8u; i++) {
sum += sums[first + i];
}
let d = most / 127.0;
scales[(group.y * params.quads + quad) / 8u] = vec2<f32>(d, d * f32(sum));
}
}`,
  "reduce": `
override THREADS: u32 = 64u;
const FIRST_ADDERS = 32u;
const LAST_ADDERS = 8u;
var<workgroup> sums: array<vec4<f32>, THREADS>;
var<workgroup> beside: array<vec4<f32>, THREADS>;
fn add_up(t: u32, adders: u32, count: u32) {
if (t < adders) {
var sum = sums[t];
var other = beside[t];
for (var i = t + adders; i < count; i += adders) {
sum += sums[i];
other += beside[i];
}
sums[t] = sum;
beside[t] = other;
}
workgroupBarrier();
}
fn reduce(t: u32, own: vec4<f32>, own_beside: vec4<f32>) {
workgroupBarrier();
sums[t] = own;
beside[t] = own_beside;
workgroupBarrier();
add_up(t, FIRST_ADDERS, THREADS);
add_up(t, LAST_ADDERS, FIRST_ADDERS);
}
fn row_sum(row: u32) -> f32 {
let v = row >> 2u;
return (sums[v] + sums[v + 4u])[row & 3u];
}
fn row_beside(row: u32) -> f32 {
let v = row >> 2u;
return (beside[v] + beside[v + 4u])[row & 3u];
}
fn all_beside() -> vec4<f32> {
return (beside[0] + beside[4]) + (beside[1] + beside[5]) + (beside[2] + beside[6]) +
(beside[3] + beside[7]);
}`,
  "reduce_subgroups": `
enable subgroups;
override THREADS: u32 = 64u;
override SUBGROUP: u32 = 32u;
var<workgroup> sums: array<vec4<f32>, THREADS>;
var<workgroup> beside: array<vec4<f32>, THREADS>;
fn reduce(t: u32, own: vec4<f32>, own_beside: vec4<f32>) {
var sum = own;
var other = own_beside;
for (var step = 4u; step < SUBGROUP; step <<= 1u) {
sum += subgroupShuffleXor(sum, step);
other += subgroupShuffleXor(other, step);
}
workgroupBarrier();
if (t % SUBGROUP < 4u) {
let at = t / SUBGROUP * 4u + (t & 3u);
sums[at] = sum;
beside[at] = other;
}
workgroupBarrier();
}
fn row_sum(row: u32) -> f32 {
var sum = 0.0;
for (var i = row >> 2u; i < THREADS / SUBGROUP * 4u; i += 4u) {
sum += sums[i][row & 3u];
}
return sum;
}
fn row_beside(row: u32) -> f32 {
var sum = 0.0;
for (var i = row >> 2u; i < THREADS / SUBGROUP * 4u; i += 4u) {
sum += beside[i][row & 3u];
}
return sum;
}
fn all_beside() -> vec4<f32> {
var sum = vec4<f32>();
for (var i = 0u; i < THREADS / SUBGROUP * 4u; i++) {
sum += beside[i];
}
return sum;
}`,
  "replace_rows": `
override THREADS: u32 = 64u;
struct Params {
cols: u32,
stride: u32,
column: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> uses: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let column = group.x * THREADS + t;
if (column >= params.cols || uses[group.y].x == 0.0) {
return;
}
let at = group.y * params.stride + params.column + column;
y[at] = x[at];
}`,
  "rms_norm": `
override THREADS: u32 = 64u;
override COLS: u32;
override EPSILON: f32;
struct Params {
stride: u32,
weight: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
var<workgroup> squares: array<f32, THREADS>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let row = group.y * params.stride;
var own = 0.0;
for (var column = t; column < COLS; column += THREADS) {
let value = x[row + column];
own += value * value;
}
squares[t] = own;
workgroupBarrier();
for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
if (t < half) {
squares[t] += squares[t + half];
}
workgroupBarrier();
}
let scale = 1.0 / sqrt(squares[0] / f32(COLS) + EPSILON);
for (var column = t; column < COLS; column += THREADS) {
y[row + column] = x[row + column] * scale * weights[params.weight + column];
}
}`,
  "rope": `
override THREADS: u32 = 64u;
override HEAD_DIM: u32;
struct Params {
heads: u32,
stride: u32,
column: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> angles: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let half = HEAD_DIM / 2u;
let first = rows[group.y].w * half;
let index = group.x * THREADS + t;
if (index >= params.heads * half) {
return;
}
let i = index % half;
let at = group.y * params.stride + params.column + (index / half) * HEAD_DIM + i;
let angle = angles[first + i];
let a = x[at];
let b = x[at + half];
x[at] = a * angle.x - b * angle.y;
x[at + half] = b * angle.x + a * angle.y;
}`,
  "scale_rows": `
override THREADS: u32 = 64u;
struct Params {
cols: u32,
stride: u32,
scaling: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> uses: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let column = group.x * THREADS + t;
if (column >= params.cols) {
return;
}
let at = group.y * params.stride + column;
x[at] = select(0.0, x[at] * uses[group.y].y * params.scaling, uses[group.y].x == 1.0);
}`,
  "shared_input": `
override ROWS: u32 = 1u;
override NORM: bool = false;
override EPSILON: f32 = 0.0;
const MOST_ROWS = 4u;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>;
var<private> input_row: u32;
var<private> norm_start: u32;
fn input4(column: u32) -> vec4<f32> {
let value = x[input_row + (column >> 2u)];
if (NORM) {
return value * norm[norm_start + (column >> 2u)];
}
return value;
}
fn own_squares(t: u32, first: u32, stride: u32) -> vec4<f32> {
var squares = vec4<f32>();
if (!NORM) {
return squares;
}
for (var column = 4u * t; column < COLS; column += 4u * THREADS) {
let is_there = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(COLS);
for (var r = 0u; r < ROWS; r++) {
let value = select(vec4<f32>(), x[first + r * stride + (column >> 2u)], is_there);
squares[r] += dot(value, value);
}
}
return squares;
}
fn norm_scales(squares: vec4<f32>) -> vec4<f32> {
return 1.0 / sqrt(squares / f32(COLS) + EPSILON);
}`,
  "store_kv": `
override THREADS: u32 = 64u;
override HEAD_DIM: u32;
override KV_HEADS: u32;
override CTX: u32;
struct Params {
stride: u32,
key_column: u32,
value_column: u32,
first_slot: u32,
slots: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> keys: array<CachedPair>;
@group(0) @binding(4) var<storage, read_write> values: array<CachedPair>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let half = HEAD_DIM / 2u;
let index = group.x * THREADS + t;
if (index >= KV_HEADS * half) {
return;
}
let row = rows[group.y];
let slot = row.y - params.first_slot;
if (slot >= params.slots) {
return;
}
let head = index / half;
let to = ((slot * KV_HEADS + head) * CTX + row.z) * half + index % half;
let source = group.y * params.stride + 2u * index;
keys[to] = to_cache(vec2<f32>(x[source + params.key_column], x[source + params.key_column + 1u]));
values[to] = to_cache(
vec2<f32>(x[source + params.value_column], x[source + params.value_column + 1u]));
}`,
  "subgroup_order": `
enable subgroups;
override SUBGROUP: u32 = 32u;
@group(0) @binding(0) var<storage, read_write> misplaced: atomic<u32>;
@compute @workgroup_size(256)
fn main(
@builtin(local_invocation_index) t: u32,
@builtin(subgroup_invocation_id) lane: u32,
@builtin(subgroup_size) size: u32,
) {
let first = subgroupBroadcastFirst(t);
if (size != SUBGROUP || lane != t % SUBGROUP || first != t - lane) {
atomicAdd(&misplaced, 1u);
}
}`,
  "total": `
override THREADS: u32 = 256u;
override CHUNK: u32;
struct Params {
count: u32,
row: u32,
start: u32,
largest: u32,
to: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> draws: array<Draw>;
@group(0) @binding(3) var<storage, read_write> kept: array<Best>;
var<workgroup> sums: array<f32, THREADS>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
let largest = kept[params.largest].score;
let end = min(params.count, (group.x + 1u) * CHUNK);
var sum = 0.0;
for (var i = group.x * CHUNK + t; i < end; i += THREADS) {
sum += exp((logits[params.start + i] - largest) / draws[params.row].temperature);
}
sums[t] = sum;
workgroupBarrier();
for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
if (t < half) {
sums[t] += sums[t + half];
}
workgroupBarrier();
}
if (t == 0u) {
kept[params.to + group.x] = Best(sums[0], NO_ID);
}
}`,
} as const;

export type ShaderName = keyof typeof SHADERS;
