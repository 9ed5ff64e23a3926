/**
 * Adversarial request bodies: everything that a proxy which parses and serialises again would break, or that would
 * make one answer with an error of its own. Used by the wire tests and, replayed over HTTP, by the fidelity test.
 */
import type { SkipReason } from '../../src/core/report.ts';

export interface AdversarialBody {
  readonly name: string;
  readonly path: string;
  readonly body: Buffer;
  /** What must leave when no span is changed: `body`, less its `sluice` fields. */
  readonly forwarded: Buffer;
  /** `read`: spans are found. Otherwise the reason for passing through. */
  readonly expect: 'read' | SkipReason;
}

const chatPath = '/v1/chat/completions';
const completionsPath = '/v1/completions';
export const adversarialBodies: AdversarialBody[] = [];

interface Extra {
  readonly path?: string;
  readonly forwarded?: string;
}

function add(
  name: string,
  body: string | Buffer,
  expect: AdversarialBody['expect'] = 'read',
  { path = chatPath, forwarded }: Extra = {},
): void {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
  adversarialBodies.push({
    name,
    path,
    body: bytes,
    forwarded: forwarded === undefined ? bytes : Buffer.from(forwarded, 'utf8'),
    expect,
  });
}

/** A chat body with raw JSON put in where it says. */
const chat = (messages: string, rest = ''): string =>
  `{"model":"tiny","messages":[${messages}]${rest}}`;
const user = (content: string): string => `{"role":"user","content":${content}}`;
const hello = user('"Hello"');

// --- number lexemes in members that nobody reads
for (const number of [
  '0',
  '-0',
  '1.0',
  '1.00',
  '100',
  '1e-7',
  '1E400',
  '1e+5',
  '-1.5E-10',
  '0.1',
  '0e0',
  '-0.0',
  '9007199254740993',
  '123456789012345678901234567890',
  '3.14159265358979323846264338327950288',
  '2.2250738585072014e-308',
  '5e-324',
  '1e309',
  '-1e309',
  '0.30000000000000004',
]) {
  add(`number ${number}`, chat(hello, `,"temperature":${number}`));
  add(`number ${number} nested`, chat(hello, `,"x":{"a":[${number},${number}]}`));
}
for (const number of [
  '01',
  '+1',
  '.5',
  '1.',
  '1e',
  '1e+',
  '-',
  '0x10',
  '1_000',
  'NaN',
  'Infinity',
  '-Infinity',
  '1.2.3',
  '--1',
  '00',
  '1e5.5',
])
  add(`no number ${number}`, chat(hello, `,"temperature":${number}`), 'not-json');

// --- escapes in text that is read
for (const [name, content] of [
  ['short escapes', '"\\"\\\\\\/\\b\\f\\n\\r\\t"'],
  ['escaped slash', '"a\\/b / c"'],
  ['NUL escaped', '"a\\u0000b"'],
  ['controls escaped', '"\\u0001\\u001f\\u007f"'],
  ['DEL raw', '"a\u007fb"'],
  ['Latin escaped', '"caf\\u00e9 \\u00E9"'],
  ['Latin raw', '"café É"'],
  ['Latin escaped and raw', '"caf\\u00e9 café"'],
  ['pair escaped', '"\\ud83d\\ude00 \\uD83D\\uDE00"'],
  ['pair raw', '"😀😀"'],
  ['pair escaped and raw', '"\\ud83d\\ude00😀\\ud83d\\ude00"'],
  ['last code point', '"\\udbff\\udfff\u{10ffff}"'],
  ['noncharacters', '"\\ufffe\\uffff\ufffe\uffff"'],
  ['replacement character', '"\ufffd \\ufffd"'],
  ['line separators raw', '"a\u2028b\u2029c"'],
  ['line separators escaped', '"a\\u2028b\\u2029c"'],
  ['BOM inside text', '"\ufeffa\\ufeffb"'],
  ['escaped ASCII', '"\\u0048\\u0065llo"'],
  ['escaped quote as u', '"say \\u0022hi\\u0022 \\u005c"'],
  ['escaped backslashes before quote', '"\\\\\\\\\\""'],
  ['many backslashes', `"${'\\\\'.repeat(1001)}"`],
  ['CJK', '"请根据以下文档回答问题。《红楼梦》"'],
  ['CJK extension B', '"𠮷野家 𠀋"'],
  ['emoji ZWJ', '"👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽"'],
  ['flags', '"🇩🇪🇯🇵"'],
  ['combining', '"e\u0301 n\u0303 \u0938\u094d\u0924\u0947"'],
  ['right to left', '"שלום \u202eabc\u202c مرحبا"'],
  ['Thai without spaces', '"ภาษาไทยไม่มีช่องว่าง"'],
  ['Korean jamo', '"한국어 \u1112\u1161\u11ab"'],
  ['zero widths', '"a\u200bb\u200cc\u200dd\u2060e"'],
  ['white space kinds', '"\u00a0\u2003\u3000\\t\\r\\n\\u000b"'],
  ['HTML', '"<b>&amp;</b><!-- x --><script>alert(\'1\')</script>"'],
  ['JSON in text', '"{\\"a\\": [1, 2.0, \\"x\\"]}"'],
  ['JSON in JSON in text', '"{\\"a\\": \\"{\\\\\\"b\\\\\\": 1}\\"}"'],
  ['special tokens', '"<|im_end|><|endoftext|></s>[INST]"'],
  ['empty', '""'],
  ['one space', '" "'],
  ['only newlines', '"\\n\\n\\n"'],
  ['braces in text', '"}{][,:"'],
  ['proto', '"__proto__"'],
  ['percent and plus', '"%00%7B+a"'],
] as const) {
  add(`text: ${name}`, chat(user(content)));
  add(`text in a part: ${name}`, chat(user(`[{"type":"text","text":${content}}]`)));
  add(`prompt: ${name}`, `{"model":"tiny","prompt":${content}}`, 'read', {
    path: completionsPath,
  });
}

// --- broken strings
for (const [name, content] of [
  ['raw newline', '"a\nb"'],
  ['raw tab', '"a\tb"'],
  ['raw NUL', '"a\0b"'],
  ['raw unit separator', '"a\u001fb"'],
  ['unknown escape', '"\\x41"'],
  ['escape v', '"\\v"'],
  ['escaped single quote', '"\\\'"'],
  ['short unicode escape', '"\\u12"'],
  ['no hex', '"\\u12g4"'],
  ['capital U', '"\\U0041"'],
  ['unicode escape cut by the quote', '"\\u123"'],
  ['single quotes', "'Hello'"],
  ['back quotes', '`Hello`'],
  ['unquoted', 'Hello'],
  ['unterminated', '"Hello'],
  ['ends in a backslash', '"Hello\\'],
] as const)
  add(`broken string: ${name}`, chat(user(content)), 'not-json');

for (const [name, content] of [
  ['high alone', '"a\\ud800b"'],
  ['low alone', '"a\\udc00b"'],
  ['reversed pair', '"\\ude00\\ud83d"'],
  ['high then raw emoji', '"\\ud83d😀"'],
  ['high at the end', '"\\ud83d"'],
  ['two highs and a low', '"\\ud83d\\ud83d\\ude00"'],
  ['high then n', '"\\ud83d\\n\\ude00"'],
  ['capitals', '"\\uD83D"'],
] as const) {
  add(`lone surrogate: ${name}`, chat(user(content)), 'lone-surrogate');
  add(`lone surrogate in a prompt: ${name}`, `{"prompt":${content}}`, 'lone-surrogate', {
    path: completionsPath,
  });
}
add('lone surrogate in a member that is not read', chat(hello, ',"x":"\\ud800"'));
add('lone surrogate in an image URL', chat(user('[{"type":"image_url","x":"\\udfff"}]')));
add(
  'lone surrogate in tool call arguments',
  chat('{"role":"assistant","tool_calls":[{"function":{"arguments":"\\ud800"}}]}'),
  'lone-surrogate',
);
add(
  'lone surrogate in the system prompt',
  chat(`{"role":"system","content":"\\ud800"},${hello}`),
  'lone-surrogate',
);

// --- bytes that are no UTF-8
const bytes = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string)));
const around = (...raw: number[]): Buffer =>
  bytes('{"model":"tiny","messages":[{"role":"user","content":"a', raw, 'b"}]}');
add('invalid UTF-8: lone continuation', around(0x80), 'not-json');
add('invalid UTF-8: cut sequence', around(0xe4, 0xbd), 'not-json');
add('invalid UTF-8: overlong slash', around(0xc0, 0xaf), 'not-json');
add('invalid UTF-8: surrogate', around(0xed, 0xa0, 0x80), 'not-json');
add('invalid UTF-8: above U+10FFFF', around(0xf4, 0x90, 0x80, 0x80), 'not-json');
add('invalid UTF-8: 0xff', around(0xff), 'not-json');
add('Latin-1 bytes', around(0xe9), 'not-json');
add('UTF-16 LE', Buffer.from(chat(hello), 'utf16le'), 'not-json');
add('BOM before the body', bytes([0xef, 0xbb, 0xbf], chat(hello)), 'not-json');
add('NUL bytes only', Buffer.alloc(64), 'not-json');
add('NUL after the body', bytes(chat(hello), [0]), 'not-json');
add('NUL between members', bytes('{"messages":[]', [0], '}'), 'not-json');
add(
  'random bytes',
  Buffer.from(Array.from({ length: 256 }, (_, i) => (i * 167 + 13) % 256)),
  'not-json',
);
add('gzip magic', bytes([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), 'not-json');

// --- grammar
for (const [name, body] of [
  ['empty', ''],
  ['white space only', ' \n\t '],
  ['trailing comma in an object', `{"messages":[${hello}],}`],
  ['trailing comma in an array', `{"messages":[${hello},]}`],
  ['leading comma', `{,"messages":[${hello}]}`],
  ['double comma', `{"messages":[${hello},,${hello}]}`],
  ['missing comma', `{"a":1 "messages":[${hello}]}`],
  ['missing colon', `{"messages" [${hello}]}`],
  ['two colons', `{"messages"::[${hello}]}`],
  ['key without quotes', `{messages:[${hello}]}`],
  ['number as key', `{1:2,"messages":[${hello}]}`],
  ['line comment', `{"messages":[${hello}] // c\n}`],
  ['block comment', `/* c */{"messages":[${hello}]}`],
  ['trailing garbage', `${chat(hello)}x`],
  ['two documents', `${chat(hello)}\n${chat(hello)}`],
  ['missing brace', `{"messages":[${hello}]`],
  ['extra brace', `${chat(hello)}}`],
  ['mixed brackets', `{"messages":[${hello}}]`],
  ['capital literal', chat(hello, ',"stream":True')],
  ['None', chat(hello, ',"stop":None')],
  ['undefined', chat(hello, ',"stop":undefined')],
  ['cut literal', chat(hello, ',"stream":tru')],
  ['long literal', chat(hello, ',"stream":truex')],
  ['vertical tab as white space', `{\u000b"messages":[${hello}]}`],
  ['no-break space as white space', `{\u00a0"messages":[${hello}]}`],
  ['form encoded', 'model=tiny&messages=%5B%5D'],
  ['multipart', '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--'],
  ['XML', '<?xml version="1.0"?><a/>'],
  ['YAML', 'model: tiny\nmessages: []\n'],
  ['cut in the middle', chat(user('"Hello, this is cut')).slice(0, 50)],
  ['lone quote', '"'],
  ['lone brace', '{'],
  ['lone minus', '-'],
] as const)
  add(`grammar: ${name}`, body, 'not-json');

// --- shapes
for (const [name, body] of [
  ['array at the top', `[${chat(hello)}]`],
  ['string at the top', '"messages"'],
  ['number at the top', '42'],
  ['null at the top', 'null'],
  ['empty object', '{}'],
  ['messages missing', '{"model":"tiny"}'],
  ['messages null', '{"messages":null}'],
  ['messages a string', '{"messages":"Hello"}'],
  ['messages an object', '{"messages":{"role":"user"}}'],
  ['message a string', '{"messages":["Hello"]}'],
  ['message null', '{"messages":[null]}'],
  ['content a number', chat(user('5'))],
  ['content an object', chat(user('{"text":"Hello"}'))],
  ['content true', chat(user('true'))],
  ['part a string', chat(user('["Hello"]'))],
  ['part a list', chat(user('[["Hello"]]'))],
] as const)
  add(`shape: ${name}`, body, 'unexpected-shape');
for (const [name, body] of [
  ['token ids', '{"prompt":[1,2,3]}'],
  ['lists of token ids', '{"prompt":[[1,2],[3]]}'],
  ['prompt null', '{"prompt":null}'],
  ['prompt a number', '{"prompt":7}'],
  ['prompt an object', '{"prompt":{}}'],
  ['prompt missing', '{"model":"tiny"}'],
  ['strings and ids mixed', '{"prompt":["a",1]}'],
] as const)
  add(`shape: ${name}`, body, 'unexpected-shape', { path: completionsPath });

// --- duplicate keys
for (const [name, body] of [
  ['top level', `{"messages":[],"messages":[${hello}]}`],
  ['model twice', chat(hello, ',"model":"other"')],
  ['unknown member of the top level', chat(hello, ',"x":1,"x":2')],
  ['escaped spelling', `{"messages":[${hello}],"\\u006dessages":[]}`],
  ['role twice', chat('{"role":"user","role":"system","content":"x"}')],
  ['content twice', chat('{"role":"user","content":"x","content":"y"}')],
  ['part', chat(user('[{"type":"text","text":"a","text":"b"}]'))],
  ['sluice field', chat(user('[{"type":"text","text":"a","sluice":{"rate":1,"rate":0.1}}]'))],
  ['sluice twice', chat(hello, ',"sluice":{},"sluice":{}')],
  [
    'arguments twice',
    chat('{"role":"assistant","tool_calls":[{"function":{"arguments":"1","arguments":"2"}}]}'),
  ],
] as const)
  add(`duplicate key: ${name}`, body, 'duplicate-key');
add('duplicate key: in an object that is not read', chat(hello, ',"x":{"a":1,"a":2}'));
add('duplicate key: in a tool schema', chat(hello, ',"tools":[{"type":"f","type":"g"}]'));
add('duplicate key: prompt', '{"prompt":"a","prompt":"b"}', 'duplicate-key', {
  path: completionsPath,
});

// --- depth: the body itself is the first container
const nested = (depth: number, open: string, close: string, core = '1'): string =>
  chat(hello, `,"x":${open.repeat(depth)}${core}${close.repeat(depth)}`);
add('depth 199 arrays', nested(198, '[', ']'));
add('depth 200 arrays', nested(199, '[', ']'));
add('depth 201 arrays', nested(200, '[', ']'), 'too-deep');
add('depth 5000 arrays', nested(4999, '[', ']'), 'too-deep');
add('depth 100000 arrays', nested(99_999, '[', ']'), 'too-deep');
add('depth 200 objects', nested(199, '{"a":', '}'));
add('depth 201 objects', nested(200, '{"a":', '}'), 'too-deep');
add('depth 5000 objects', nested(4999, '{"a":', '}'), 'too-deep');
add('depth 201 empty innermost', nested(199, '[', ']', '[]'), 'too-deep');
add('200 containers side by side', chat(hello, `,"x":[${'[],'.repeat(5000)}{}]`));
add('deep nesting in text', chat(user(`"${'['.repeat(5000)}"`)));

// --- order, unknown members, white space
for (const [name, body] of [
  ['messages last', `{"z":1,"stream":true,"model":"tiny","messages":[${hello}]}`],
  ['messages first', `{"messages":[${hello}],"stream":true,"model":"tiny","a":1}`],
  ['content before role', chat('{"content":"Hello","role":"user"}')],
  ['text before type', chat(user('[{"text":"Hello","type":"text"}]'))],
  ['numeric keys out of order', chat(hello, ',"logit_bias":{"50256":-100,"9":1,"10":2.0}')],
  ['__proto__ member', chat(hello, ',"__proto__":{"x":1},"constructor":2')],
  ['__proto__ in a message', chat('{"role":"user","content":"x","__proto__":{"role":"tool"}}')],
  ['toString member', chat(hello, ',"toString":1,"hasOwnProperty":2')],
  ['empty key', chat(hello, ',"":1')],
  ['keys with odd characters', chat(hello, ',"a/b":1,"a~b":2,"é":3,"\\n":4,"😀":5,"\\ud83d":6')],
  ['key spelt with escapes', `{"\\u006dessages":[{"r\\u006fle":"user","content":"Hello"}]}`],
  ['unknown members everywhere', chat('{"x":[1.0],"role":"user","y":null,"content":"a","z":{}}')],
  ['pretty printed', JSON.stringify(JSON.parse(chat(hello)), null, 4)],
  ['CRLF and tabs', `{\r\n\t"messages" :\t[ ${hello} ]\r\n}\r\n`],
  ['spaces everywhere', ` { "messages" : [ { "role" : "user" , "content" : "a" } ] } `],
  ['a lot of white space', `{${' '.repeat(70_000)}"messages":[${hello}]${'\n'.repeat(70_000)}}`],
  ['long key', chat(hello, `,"${'k'.repeat(100_000)}":1`)],
  ['5000 members', chat(hello, Array.from({ length: 5000 }, (_, i) => `,"k${i}":${i}.0`).join(''))],
  ['model null', '{"model":null,"messages":[]}'],
  ['model a number', '{"model":4,"messages":[]}'],
  ['model with escapes', '{"model":"t\\u0069ny\\/x","messages":[]}'],
  ['stream a string', chat(hello, ',"stream":"true"')],
  ['stream null', chat(hello, ',"stream":null')],
] as const)
  add(`layout: ${name}`, body);

// --- messages, parts, tools
for (const [name, body] of [
  ['no messages', chat('')],
  ['empty message', chat('{}')],
  ['null content', chat('{"role":"assistant","content":null}')],
  ['empty content', chat(user('""'))],
  ['no parts', chat(user('[]'))],
  ['role missing', chat('{"content":"Hello"}')],
  ['role null', chat('{"role":null,"content":"Hello"}')],
  ['role unknown', chat('{"role":"critic","content":"Hello"}')],
  ['role a list', chat('{"role":["user"],"content":"Hello"}')],
  ['role in capitals', chat('{"role":"User","content":"Hello"}')],
  ['role __proto__', chat('{"role":"__proto__","content":"Hello"}')],
  ['developer', chat(`{"role":"developer","content":"Be brief"},${hello}`)],
  ['assistant last', chat(`${hello},{"role":"assistant","content":"Sure, "}`)],
  ['part of unknown type', chat(user('[{"type":"hologram","text":"a"}]'))],
  ['part without type', chat(user('[{"text":"a"}]'))],
  ['part with type null', chat(user('[{"type":null,"text":"a"}]'))],
  ['part with text null', chat(user('[{"type":"text","text":null}]'))],
  ['part with text object', chat(user('[{"type":"text","text":{"value":"a"}}]'))],
  ['empty part', chat(user('[{}]'))],
  [
    'image part',
    chat(user('[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0K"}}]')),
  ],
  [
    'audio part',
    chat(user('[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]')),
  ],
  ['file part', chat(user('[{"type":"file","file":{"file_id":"file-1"}}]'))],
  ['file part with text', chat(user('[{"type":"file","text":"a document"}]'))],
  ['document part', chat(user('[{"type":"document","text":"a document","title":"t"}]'))],
  ['refusal part', chat('{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}')],
  [
    'text and image',
    chat(
      user(
        '[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"b"}]',
      ),
    ),
  ],
  [
    'cache_control',
    chat(user('[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]')),
  ],
  [
    'tools',
    chat(
      hello,
      ',"tools":[{"type":"function","function":{"name":"f","description":"Long text","parameters":{"type":"object","properties":{"a":{"type":"number","default":1.0}}}}}],"tool_choice":"auto"',
    ),
  ],
  [
    'tool call',
    chat(
      '{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\\"a\\": 1.0}"}}]},{"role":"tool","tool_call_id":"c1","content":"{\\"ok\\": true}"}',
    ),
  ],
  [
    'tool call with object arguments',
    chat('{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":1.0}}}]}'),
  ],
  ['tool calls null', chat('{"role":"assistant","content":"x","tool_calls":null}')],
  ['tool calls empty', chat('{"role":"assistant","content":"x","tool_calls":[]}')],
  ['tool call a string', chat('{"role":"assistant","content":"x","tool_calls":["f"]}')],
  ['function null', chat('{"role":"assistant","content":"x","tool_calls":[{"function":null}]}')],
  [
    'function call',
    chat(
      '{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"4"}',
    ),
  ],
  ['tool parts', chat('{"role":"tool","content":[{"type":"text","text":"a,b\\n1,2"}]}')],
  ['reasoning', chat('{"role":"assistant","reasoning_content":"hm\\u0021","content":"x"}')],
  ['400 messages', chat(Array.from({ length: 400 }, (_, i) => user(`"m${i}"`)).join(','))],
  [
    '4000 parts',
    chat(user(`[${Array.from({ length: 4000 }, () => '{"type":"text","text":"a"}').join(',')}]`)),
  ],
  ['huge plain string', chat(user(`"${'word '.repeat(50_000)}"`))],
  ['huge string of escapes', chat(user(`"${'\\n\\u00e9\\"'.repeat(20_000)}"`))],
  ['huge CJK string', chat(user(`"${'数据库。'.repeat(20_000)}"`))],
  ['huge emoji string', chat(user(`"${'😀'.repeat(20_000)}"`))],
  [
    'document and question',
    chat(
      user(
        '"<document>\\nThe caf\\u00e9 opened in 1921. Le café ouvrit.\\n</document>\\n\\nWhen did it open?"',
      ),
    ),
  ],
  ['fenced code', chat(user('"Fix this:\\n```js\\nconst a = \\"b\\";\\n```\\nThanks"'))],
] as const)
  add(`chat: ${name}`, body);
for (const [name, body] of [
  ['list of strings', '{"prompt":["a","b\\u00e9","😀"]}'],
  ['empty list', '{"prompt":[]}'],
  ['empty string', '{"prompt":""}'],
  ['list of empty strings', '{"prompt":["",""]}'],
  ['suffix', '{"prompt":"a","suffix":"b\\/","max_tokens":1.0}'],
  ['few shot', '{"prompt":"Q: 1+1?\\nA: 2\\n\\nQ: 2+2?\\nA: 4\\n\\nQ: 3+3?\\nA:"}'],
  ['messages beside', '{"prompt":"a","messages":5}'],
] as const)
  add(`completions: ${name}`, body, 'read', { path: completionsPath });

// --- sluice fields: always removed where they are ours, left alone where they are not
const part = (members: string): string => chat(user(`[{${members}}]`));
for (const [name, body, forwarded] of [
  ['last member', chat(hello, ',"sluice":{"rate":0.5}'), chat(hello)],
  [
    'first member',
    `{"sluice":{"compress":false},"messages":[${hello}]}`,
    `{"messages":[${hello}]}`,
  ],
  [
    'middle member',
    `{"a":1.0,"sluice":{},"messages":[${hello}]}`,
    `{"a":1.0,"messages":[${hello}]}`,
  ],
  ['first with white space', `{ "sluice" : {} , "messages" : [] }`, `{ "messages" : [] }`],
  ['last with white space', `{ "messages" : [] , "sluice" : {} }`, `{ "messages" : [] }`],
  [
    'pretty printed',
    `{\n  "messages": [],\n  "sluice": {\n    "rate": 1\n  },\n  "a": 1\n}`,
    `{\n  "messages": [],\n  "a": 1\n}`,
  ],
  ['null', chat(hello, ',"sluice":null'), chat(hello)],
  ['a string', chat(hello, ',"sluice":"off"'), chat(hello)],
  ['a number', chat(hello, ',"sluice":1e400'), chat(hello)],
  ['a list', chat(hello, ',"sluice":[{"rate":0.5}]'), chat(hello)],
  [
    'nonsense inside',
    chat(
      hello,
      ',"sluice":{"rate":"x","method":5,"compress":"no","target_tokens":-1,"__proto__":1}',
    ),
    chat(hello),
  ],
  [
    'part, last',
    part('"type":"text","text":"a","sluice":{"kind":"document"}'),
    part('"type":"text","text":"a"'),
  ],
  [
    'part, first',
    part('"sluice":{"kind":"document"},"type":"text","text":"a"'),
    part('"type":"text","text":"a"'),
  ],
  [
    'part, middle',
    part('"type":"text","sluice":{"rate":0.3},"text":"a"'),
    part('"type":"text","text":"a"'),
  ],
  ['part, alone', part('"sluice":{}'), part('')],
  ['part, alone with white space', part(' "sluice" : {} '), part('  ')],
  [
    'part, nonsense',
    part('"type":"text","text":"a","sluice":{"kind":"poem","policy":0,"rate":7}'),
    part('"type":"text","text":"a"'),
  ],
  [
    'part, text inside',
    part('"type":"text","text":"a","sluice":{"note":"},\\"\\\\"}'),
    part('"type":"text","text":"a"'),
  ],
  [
    'image part',
    part('"type":"image_url","sluice":{"kind":"document"},"image_url":{"url":"x"}'),
    part('"type":"image_url","image_url":{"url":"x"}'),
  ],
  [
    'part and top level',
    `{"sluice":{},"messages":[${user('[{"sluice":{},"type":"text","text":"a"},{"type":"text","text":"b","sluice":{}}]')}]}`,
    `{"messages":[${user('[{"type":"text","text":"a"},{"type":"text","text":"b"}]')}]}`,
  ],
  ['in a message', chat('{"role":"user","content":"a","sluice":{"rate":0.5}}'), null],
  ['in metadata', chat(hello, ',"metadata":{"sluice":{"rate":0.5}}'), null],
  ['in a tool schema', chat(hello, ',"tools":[{"sluice":{}}]'), null],
  ['in text', chat(user('"{\\"sluice\\": {\\"rate\\": 0.1}}"')), null],
  ['as a value', chat(hello, ',"user":"sluice"'), null],
  ['other capitals', chat(hello, ',"Sluice":{},"SLUICE":{}'), null],
] as const)
  add(`sluice: ${name}`, body, 'read', forwarded === null ? {} : { forwarded });
add('sluice: completions', '{"prompt":"a","sluice":{"rate":0.5}}', 'read', {
  path: completionsPath,
  forwarded: '{"prompt":"a"}',
});
add('sluice: in a body that is broken later', `{"sluice":{},"messages":[${hello}]`, 'not-json');
