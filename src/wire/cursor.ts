/**
 * A validating cursor over JSON bytes (RFC 8259). It walks values without building them: a value is either passed
 * (checked and skipped) or read member by member. Nothing is decoded except the keys of objects that are read.
 */
import type { SkipReason } from '../core/report.ts';

/** Containers may nest this deep; a body that nests deeper is passed through untouched. */
export const maxDepth = 200;

/** Thrown inside wire/ when a body cannot be read; `readRequest` turns it into a value. Carries no prompt text. */
export class ScanStop extends Error {
  readonly reason: SkipReason;

  constructor(reason: SkipReason, detail: string) {
    super(detail);
    this.name = 'ScanStop';
    this.reason = reason;
  }
}

/** Half-open byte range of the body. */
export interface ByteRange {
  readonly byteStart: number;
  readonly byteEnd: number;
}

/** The content of one JSON string token: bytes between the quotes, and what the scan saw in them. */
export interface RawString extends ByteRange {
  /** There is at least one backslash. */
  readonly escaped: boolean;
  /** There is at least one `\uD8xx`-`\uDFxx` escape, so surrogates may be unpaired. */
  readonly surrogates: boolean;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const objectOpen = 0x7b;
const objectClose = 0x7d;
const arrayOpen = 0x5b;
const arrayClose = 0x5d;

const isHex = tableOf('0123456789abcdefABCDEF');
const isShortEscape = tableOf('"\\/bfnrt');
/** Bytes that end a plain run inside a string: quote, backslash, control characters. */
const endsRun = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === quote || byte === backslash ? 1 : 0,
);

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

export class JsonCursor {
  /** The whole body. */
  readonly bytes: Buffer;
  /** Position of the next byte. */
  at = 0;
  #depth = 0;
  /** The body as aligned 32-bit words; byte i of the body is byte `i + #phase` of them. */
  readonly #words: Int32Array;
  readonly #phase: number;
  #textStart = 0;
  #textEnd = 0;
  #escaped = false;
  #surrogates = false;

  constructor(body: Uint8Array) {
    this.bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    this.#phase = body.byteOffset & 3;
    this.#words = new Int32Array(
      body.buffer,
      body.byteOffset - this.#phase,
      (this.#phase + body.byteLength) >> 2,
    );
  }

  /** Skips white space and returns the next byte, or -1 at the end. */
  peek(): number {
    const { bytes } = this;
    let at = this.at;
    let byte = bytes[at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at];
    this.at = at;
    return byte ?? -1;
  }

  isObject(): boolean {
    return this.peek() === objectOpen;
  }

  isArray(): boolean {
    return this.peek() === arrayOpen;
  }

  isString(): boolean {
    return this.peek() === quote;
  }

  isNull(): boolean {
    return this.peek() === 0x6e;
  }

  /** Checks and skips one value of any kind. @throws ScanStop */
  passValue(): void {
    switch (this.peek()) {
      case quote:
        return this.#passString();
      case objectOpen:
        return this.#passObject();
      case arrayOpen:
        return this.#passArray();
      case 0x74:
        return this.#passWord('true');
      case 0x66:
        return this.#passWord('false');
      case 0x6e:
        return this.#passWord('null');
      default:
        return this.#passNumber();
    }
  }

  /** Passes the string at the cursor and says where its content is. @throws ScanStop when there is no string */
  passRawString(): RawString {
    if (this.peek() !== quote) this.fail('a string');
    this.#passString();
    return {
      byteStart: this.#textStart,
      byteEnd: this.#textEnd,
      escaped: this.#escaped,
      surrogates: this.#surrogates,
    };
  }

  /**
   * Reads the object at the cursor. `visit` is called with each decoded key, must consume the value, and answers
   * whether the member is to be cut out. Returns the range whose removal leaves the object without that member and
   * its comma, or null. @throws ScanStop `duplicate-key` when a key occurs twice
   */
  readObject(visit: (key: string) => 'keep' | 'cut'): ByteRange | null {
    this.#open();
    const keys = new Set<string>();
    let cut: ByteRange | null = null;
    let previousEnd = -1;
    let openCut = -1;
    for (let more = this.peek() !== objectClose; more; more = this.#more(objectClose)) {
      if (this.peek() !== quote) this.fail('a key');
      const keyStart = this.at;
      if (openCut >= 0) cut = { byteStart: openCut, byteEnd: keyStart };
      openCut = -1;
      const key = this.#readKey();
      if (keys.has(key))
        throw new ScanStop(
          'duplicate-key',
          `An object has the same key twice, at byte ${keyStart}`,
        );
      keys.add(key);
      if (visit(key) === 'cut') {
        cut = { byteStart: previousEnd < 0 ? keyStart : previousEnd, byteEnd: this.at };
        if (previousEnd < 0) openCut = keyStart;
      }
      previousEnd = this.at;
    }
    this.#close();
    return cut;
  }

  /** Reads the array at the cursor; `visit` must consume each element. @throws ScanStop */
  readArray(visit: (index: number) => void): void {
    this.#open();
    let index = 0;
    for (let more = this.peek() !== arrayClose; more; more = this.#more(arrayClose)) {
      this.peek();
      visit(index++);
    }
    this.#close();
  }

  /** Only white space may follow. @throws ScanStop */
  expectEnd(): void {
    if (this.peek() !== -1) this.fail('the end');
  }

  /** @throws ScanStop `not-json`, always */
  fail(expected: string): never {
    throw new ScanStop('not-json', `Expected ${expected} at byte ${this.at}`);
  }

  #open(): void {
    if (++this.#depth > maxDepth)
      throw new ScanStop(
        'too-deep',
        `Nested deeper than ${maxDepth} containers at byte ${this.at}`,
      );
    this.at++;
  }

  #close(): void {
    this.#depth--;
    this.at++;
  }

  /** After a member or element: passes a comma (true), or stands on the closing bracket (false). */
  #more(close: number): boolean {
    const byte = this.peek();
    if (byte === comma) {
      this.at++;
      return true;
    }
    if (byte !== close) this.fail('a comma or the closing bracket');
    return false;
  }

  #passColon(): void {
    if (this.peek() !== colon) this.fail('a colon');
    this.at++;
  }

  #readKey(): string {
    this.#passString();
    const start = this.#textStart;
    const end = this.#textEnd;
    const escaped = this.#escaped;
    this.#passColon();
    this.peek();
    if (!escaped) return this.bytes.toString('utf8', start, end);
    return String(JSON.parse(this.bytes.toString('utf8', start - 1, end + 1)));
  }

  #passObject(): void {
    this.#open();
    for (let more = this.peek() !== objectClose; more; more = this.#more(objectClose)) {
      if (this.peek() !== quote) this.fail('a key');
      this.#passString();
      this.#passColon();
      this.passValue();
    }
    this.#close();
  }

  #passArray(): void {
    this.#open();
    for (let more = this.peek() !== arrayClose; more; more = this.#more(arrayClose))
      this.passValue();
    this.#close();
  }

  #passWord(word: 'true' | 'false' | 'null'): void {
    for (let i = 0; i < word.length; i++)
      if (this.bytes[this.at + i] !== word.charCodeAt(i)) this.fail('a JSON value');
    this.at += word.length;
  }

  #passNumber(): void {
    const { bytes } = this;
    if (bytes[this.at] === 0x2d) this.at++;
    if (bytes[this.at] === 0x30) this.at++;
    else this.#passDigits();
    if (bytes[this.at] === 0x2e) {
      this.at++;
      this.#passDigits();
    }
    if (bytes[this.at] === 0x65 || bytes[this.at] === 0x45) {
      this.at++;
      if (bytes[this.at] === 0x2b || bytes[this.at] === 0x2d) this.at++;
      this.#passDigits();
    }
  }

  #passDigits(): void {
    const { bytes } = this;
    const start = this.at;
    let at = start;
    for (let byte = bytes[at]; byte !== undefined && byte >= 0x30 && byte <= 0x39;)
      byte = bytes[++at];
    if (at === start) this.fail('a JSON value');
    this.at = at;
  }

  #passString(): void {
    const { bytes } = this;
    this.#textStart = this.at + 1;
    this.#escaped = false;
    this.#surrogates = false;
    let at = this.#runEnd(this.at + 1);
    while (bytes[at] !== quote) {
      if (bytes[at] !== backslash) {
        this.at = at;
        this.fail(at < bytes.length ? 'no control character in a string' : 'the end of a string');
      }
      this.#escaped = true;
      at = this.#runEnd(this.#passEscape(at));
    }
    this.#textEnd = at;
    this.at = at + 1;
  }

  /** Position after the escape that starts at `at`. */
  #passEscape(at: number): number {
    const { bytes } = this;
    const letter = bytes[at + 1] ?? 0;
    if (isShortEscape[letter] === 1) return at + 2;
    this.at = at;
    if (letter !== 0x75) this.fail('a JSON escape');
    for (let i = 2; i < 6; i++) if (isHex[bytes[at + i] ?? 0] !== 1) this.fail('four hex digits');
    // 'd' or 'D', then 8 or above
    if (((bytes[at + 2] ?? 0) | 0x20) === 0x64 && (bytes[at + 3] ?? 0) >= 0x38)
      this.#surrogates = true;
    return at + 6;
  }

  /**
   * First position from `from` on whose byte ends a plain run. Four bytes at a time: a byte below n is in word x
   * exactly when `(x - n*0x01010101) & ~x & 0x80808080` is not 0, and a byte equal to b is a zero byte of x ^ b
   * ("Bit Twiddling Hacks", S. E. Anderson). Flipping bit 1 moves the quote (0x22) to 0x20, below 0x21 beside the
   * control characters, and the space out of there. The order of bytes in a word does not matter here.
   */
  #runEnd(from: number): number {
    const { bytes } = this;
    const end = bytes.length;
    const words = this.#words;
    const phase = this.#phase;
    let at = from;
    while (((at + phase) & 3) !== 0) {
      if (at >= end || endsRun[bytes[at] ?? 0] === 1) return at;
      at++;
    }
    const last = words.length;
    let word = (at + phase) >> 2;
    for (; word < last; word++) {
      const x = words[word] ?? 0;
      const hit = ((x ^ 0x02020202) - 0x21212121) | ((x ^ 0x5c5c5c5c) - 0x01010101);
      if ((hit & ~x & 0x80808080) !== 0) break;
    }
    at = (word << 2) - phase;
    while (at < end && endsRun[bytes[at] ?? 0] !== 1) at++;
    return at;
  }
}
