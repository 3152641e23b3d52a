// Numbers from the short texts that packing.py writes.

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGIT = new Int8Array(128).fill(-1);
for (let k = 0; k < 64; k++) DIGIT[LETTERS.charCodeAt(k)] = k;

// Exact values: base64 of little-endian float32.
export function floats(text) {
  if (Uint8Array.fromBase64) return new Float32Array(Uint8Array.fromBase64(text).buffer);
  const raw = atob(text); // older browsers
  const bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return new Float32Array(bytes.buffer);
}

// Rounded values: differences in multiples of a step, five bits a character; a tilde stands before a value that is none.
export function numbers({ step, run, text }) {
  const found = new Float64Array(text.length);
  const parts = Math.round(1 / step); // 0.1 times 3 is not 0.3, but 3 divided by 10 is
  let count = 0,
    number = 0,
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
    if (run === 1 || count % run === 0) before = 0;
    before += number % 2 ? -size : size;
    found[count++] = known ? (step < 1 ? before / parts : before * step) : NaN;
    number = 0;
    shift = 1;
    known = true;
  }
  return found.slice(0, count);
}

// Gives an object its rounded values by name, each unpacked when it is first asked for: most are not in the first view.
export function unpackLater(target, held) {
  for (const [name, own] of Object.entries(held)) {
    const get = () => {
      const value = own ? numbers(own) : null;
      Object.defineProperty(target, name, { value, enumerable: true });
      return value;
    };
    Object.defineProperty(target, name, { get, enumerable: true, configurable: true });
  }
  return target;
}
