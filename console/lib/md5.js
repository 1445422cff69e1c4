// MD5 (RFC 1321), for the signature of callbacks: browsers have no MD5 of their own.

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Array.from({ length: 64 }, (_, at) => Math.floor(Math.abs(Math.sin(at + 1)) * 2 ** 32) >>> 0);

function padded(text) {
  const raw = new TextEncoder().encode(text);
  const whole = new Uint8Array(((raw.length + 8) >> 6 << 6) + 64);
  whole.set(raw);
  whole[raw.length] = 0x80;
  const view = new DataView(whole.buffer);
  view.setUint32(whole.length - 8, (raw.length * 8) >>> 0, true);
  view.setUint32(whole.length - 4, Math.floor(raw.length / 2 ** 29), true);
  return view;
}

export function md5(text) {
  const view = padded(text);
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let block = 0; block < view.byteLength; block += 64) {
    let [a, b, c, d] = state;
    for (let at = 0; at < 64; at += 1) {
      const round = at >> 4;
      const mix = [(b & c) | (~b & d), (d & b) | (~d & c), b ^ c ^ d, c ^ (b | ~d)][round];
      const word = [at, 5 * at + 1, 3 * at + 5, 7 * at][round] % 16;
      const sum = (a + mix + SINES[at] + view.getUint32(block + word * 4, true)) >>> 0;
      const shift = SHIFTS[round * 4 + (at % 4)];
      [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) >>> 0];
    }
    [a, b, c, d].forEach((value, at) => {
      state[at] = (state[at] + value) >>> 0;
    });
  }
  return state.map((value) => [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0')).join('')).join('');
}
