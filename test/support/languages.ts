// Short texts of many kinds, for measuring tokenizers: languages, code, data, symbols.

const rows = (count: number, row: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => row(at)).join('\n')

/** Pseudo-random but deterministic bytes. */
function noise(bytes: number): Buffer {
  let state = 7
  return Buffer.alloc(bytes).map(() => {
    state = (state * 48_271) % 2_147_483_647
    return state >> 8
  }) as Buffer
}

export const LANGUAGES = {
  english:
    'The bridge was closed before noon, so we walked along the river and asked the ferryman about the weather. He said that nothing ' +
    'would change until the wind turned, and that whoever wanted to cross tonight should pay in advance. Could you summarise this for me?',
  german:
    'Die Brücke wurde vor Mittag gesperrt, deshalb gingen wir am Fluss entlang und fragten den Fährmann nach dem Wetter. Er meinte, ' +
    'vor dem Windwechsel ändere sich nichts; die Grundstücksverkehrsgenehmigung müsse übrigens schriftlich beantragt werden.',
  french:
    "Le pont était fermé avant midi ; nous avons donc marché le long de la rivière et demandé au passeur quel temps il ferait. D'après " +
    'lui, rien ne changerait tant que le vent n’aurait pas tourné.',
  chinese:
    '中午以前桥就关闭了，所以我们沿着河走，向摆渡人打听天气。他说风向不变之前什么都不会变，今晚要过河的人最好先付钱。请帮我总结一下。',
  japanese:
    '橋は昼前に閉鎖されたので、川沿いを歩いて渡し守に天気を尋ねた。風向きが変わるまで何も変わらない、と彼は言った。',
  korean:
    '다리는 정오 전에 닫혔기 때문에 우리는 강을 따라 걸으며 뱃사공에게 날씨를 물었다. 바람이 바뀔 때까지는 아무것도 달라지지 않는다고 했다.',
  russian:
    'Мост закрыли ещё до полудня, поэтому мы пошли вдоль реки и спросили паромщика о погоде. Он сказал, что ничего не изменится, пока ' +
    'не переменится ветер, и что платить лучше заранее.',
  arabic:
    'أغلق الجسر قبل الظهر، فمشينا على طول النهر وسألنا صاحب العبارة عن الطقس. قال إن شيئا لن يتغير حتى تتحول الريح.',
  hebrew: 'הגשר נסגר לפני הצהריים, ולכן הלכנו לאורך הנהר ושאלנו את בעל המעבורת על מזג האוויר.',
  hindi: 'पुल दोपहर से पहले बंद हो गया था, इसलिए हम नदी के किनारे चले और नाविक से मौसम के बारे में पूछा।',
  thai: 'สะพานปิดก่อนเที่ยง เราจึงเดินเลียบแม่น้ำและถามคนแจวเรือเรื่องอากาศ',
} as const

export const CODE = {
  typescript:
    'export async function readAll(source: AsyncIterable<Uint8Array>, most = 1_024): Promise<Buffer> {\n  const parts: Uint8Array[] = []\n' +
    "  let bytes = 0\n  for await (const part of source) {\n    bytes += part.length\n    if (bytes > most) throw new RangeError('too much')\n" +
    '    parts.push(part)\n  }\n  return Buffer.concat(parts)\n}\n',
  python:
    'def widest(rows: list[dict]) -> int:\n    """The longest name, in characters."""\n    if not rows:\n        return 0\n' +
    '    return max(len(row["name"]) for row in rows if row.get("name") is not None)\n',
  c: 'static int cmp(const void *a, const void *b)\n{\n\tconst long *x = a, *y = b;\n\treturn (*x > *y) - (*x < *y);\n}\n\nqsort(v, n, sizeof *v, cmp);\n',
  json: JSON.stringify(
    Array.from({ length: 6 }, (_, id) => ({
      id,
      name: `berth ${id}`,
      free: id % 2 === 0,
      depth_m: id * 1.75,
      tags: ['north', null],
    })),
  ),
  indentedJson: JSON.stringify(
    { route: [{ from: 'quay', to: 'mill', minutes: 12 }], note: 'says "slow"\nand means it' },
    null,
    4,
  ),
  log: rows(
    8,
    (at) =>
      `2026-03-0${at + 1}T09:2${at}:41.${100 + at}Z WARN  [ferry-${at}] crossing ${at * 731} late by ${at * 13}ms (wind=NW)`,
  ),
} as const

export const DATA = {
  hex: noise(256).toString('hex'),
  base64: noise(400).toString('base64'),
  digits: '3.14159265 2026-03-14 09:26:53 1,208.00 42 1000000 192.168.0.1 8080 31337 0.000125 99.98%',
} as const

export const EMOJI = '😀😃🎉👍🏽👩‍👩‍👧‍👦 🚀🔥✨ ❤️ ☕ 🇩🇪🇫🇷 🤷‍♂️ 🧑‍💻 ✅ ❌ ⚠️ ➡️'

/** All of them, by name. */
export const SAMPLES: Readonly<Record<string, string>> = { ...LANGUAGES, ...CODE, ...DATA, emoji: EMOJI }
