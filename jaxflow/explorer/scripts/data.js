// Numbers from the short texts that packing.py writes.

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGIT = new Int8Array(128).fill(-1);
for (let k = 0; k < 64; k++) DIGIT[LETTERS.charCodeAt(k)] = k;

// Exact values: base64 of little-endian float32.
export function floats(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return new Float32Array(bytes.buffer);
}

// Rounded values: differences in multiples of a step, five bits a character; a tilde stands before a value that is none.
export function numbers({ step, run, text }) {
  const found = [];
  const scale = 1 / step; // 0.1 times 3 is not 0.3, but 3 divided by 10 is
  let number = 0,
    shift = 1,
    before = 0,
    known = true;
  for (let k = 0; k < text.length; k++) {
    const digit = DIGIT[text.charCodeAt(k)];
    if (digit < 0) {
      known = false;
      continue;
    }
    number += (digit & 31) * shift;
    shift *= 32;
    if (digit & 32) continue;
    const size = Math.floor(number / 2);
    if (found.length % run === 0) before = 0;
    before += number % 2 ? -size : size;
    found.push(known ? (step < 1 ? before / Math.round(scale) : before * step) : NaN);
    number = 0;
    shift = 1;
    known = true;
  }
  return Float64Array.from(found);
}
