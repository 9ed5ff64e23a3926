/** Text that the detection cases are built from: made up for these tests, in several scripts and shapes. */

export const lighthouse =
  'The lighthouse at Cape Arnor was finished in 1871 after four winters of work. Its keeper, Ivor Dahl, kept a diary in which he wrote down every ship that passed. The lamp burned rape oil until 1903, when the harbour board paid for a paraffin burner. Storms broke the gallery twice, and both times the stones were carried up by hand. The tower stands 31 metres high and can be seen from 18 nautical miles away. It was automated in 1974 and the cottages were sold to a school.';
export const bakery =
  'Maren Holt opened her bakery on Quay Street with two ovens and a borrowed van. Within a year the shop sold 900 loaves a week, most of them rye. The flour came from a mill in Tarnby that still used its water wheel in spring. When the price of grain doubled, she reduced the number of sorts from fourteen to six. Customers complained about the missing almond rolls for months. In 2012 her daughter took over the business and moved the ovens into the old customs house.';
export const river =
  'The Sella river rises in the northern hills and reaches the sea after 140 kilometres. Salmon were common in it until the dam of 1958 closed the upper valley. A ladder with 22 pools was built in 1996, and counts have grown since then. Farmers along the lower course draw water from May to September. Gauges report the level every fifteen minutes to the office in Verrin. The highest level ever measured was 6.2 metres in December 1934.';
export const prose3 = `${lighthouse}\n\n${bakery}\n\n${river}`;

export const chinese =
  '青石镇位于江南丘陵的北缘，始建于宋代。镇上的石桥共有七座，其中以望月桥最为有名，桥长四十二米，宽六米。清代末年，镇上的丝绸作坊多达一百二十家，产品远销海外。一九三五年的洪水冲毁了三座桥，后来由商会出资重建。如今镇上设有一座博物馆，收藏了当年作坊的织机与账本，每年接待游客约三十万人。';
export const chinese2 =
  '白河水库于一九六二年开工，一九六五年建成，总库容为二点三亿立方米。水库主要承担防洪和灌溉任务，灌溉面积约四十万亩。一九八八年进行了第一次加固，坝顶加高了一米五。水库周边栽种了大量松树，成为候鸟越冬的栖息地。近年来，水库管理处建立了水质自动监测站，每四小时公布一次数据。';
export const japanese =
  '小浜港は北の湾に面した小さな港で、明治二十三年に開かれた。最初の桟橋は木造で、長さは六十メートルだった。昭和の初めにはにしん漁で栄え、年に八千トンの水揚げがあった。戦後は漁獲が減り、港の一部は市場と公園に変わった。現在は週に三便の連絡船が島との間を結んでいる。';
export const korean =
  '한솔마을은 강의 상류에 자리 잡은 작은 마을로 1790년에 처음 기록에 나온다. 마을 사람들은 주로 닥나무로 종이를 만들었다. 1920년대에는 종이 공방이 서른두 곳이나 있었다. 지금은 두 곳만 남아 있으며 해마다 가을에 종이 축제가 열린다.';
export const russian =
  'Посёлок Верхний Лог основан в 1847 году у истока реки Каменки. Первыми жителями были рабочие стекольного завода, которых привезли из соседней губернии. Завод выпускал бутыли и оконное стекло до пожара 1911 года. После войны здесь открыли лесную школу, и население выросло до трёх тысяч человек. Сейчас в посёлке работает музей стекла, где хранится более шестисот предметов.';
export const arabic =
  'تقع قرية النخلة على الضفة الشرقية للوادي وقد بنيت في القرن السادس عشر. كان أهلها يعملون في صناعة الفخار ويبيعونه في أسواق المدينة القريبة. في عام 1948 انتقل معظم السكان إلى السهل بعد جفاف البئر الكبيرة. وفي القرية اليوم متحف صغير يعرض أدوات الحرفيين القديمة.';
export const german =
  'Die Mühle von Altenried wurde 1763 am Oberlauf der Wenz errichtet. Sie mahlte Roggen und Hafer für elf Dörfer, bis 1926 eine Turbine das Rad ersetzte. Der letzte Müller, Anton Rehm, führte genau Buch über jede Lieferung. Heute gehört das Gebäude der Gemeinde und dient als Schulungsort für Zimmerleute.';
export const french =
  "Le pont de Valserre fut construit en 1834 pour relier les deux rives de la Drue. Ses trois arches mesurent chacune vingt-six mètres. En 1944, l'arche centrale fut détruite, puis rebâtie avec les pierres de la carrière voisine. Le marché du samedi se tient toujours sur le quai, à l'ombre des platanes.";
export const spanish =
  'El faro de Punta Brava se encendió por primera vez en 1889. Su torre de piedra mide veintiocho metros y fue reparada tras el temporal de 1931. Los fareros vivían con sus familias en una casa de seis habitaciones. Desde 1982 funciona de manera automática y la casa es un centro de estudios marinos.';

export const log = Array.from({ length: 12 }, (_, line) => {
  const second = String(line * 3).padStart(2, '0');
  const level = line === 7 ? 'ERROR' : 'INFO';
  const what =
    line === 7
      ? 'could not open ledger segment 44: disk full'
      : `flushed ${line + 3} pages to segment ${line}`;
  return `2025-03-04T10:12:${second}.118Z ${level} store[812] ${what}`;
}).join('\n');
export const syslog = Array.from(
  { length: 10 },
  (_, line) =>
    `Mar  4 03:1${line}:21 gate2 sshd[${4100 + line}]: Failed password for invalid user oper${line} from 10.2.0.${line} port 50${line}1`,
).join('\n');
export const trace = `2025-03-04 10:12:01,001 INFO app starting worker 3
2025-03-04 10:12:02,114 INFO app loaded 18 rules
2025-03-04 10:12:02,350 ERROR app job 71 failed
Traceback (most recent call last):
  File "/srv/app/jobs.py", line 88, in run
    self.store.write(batch)
  File "/srv/app/store.py", line 41, in write
    raise StoreFull(self.path)
app.store.StoreFull: /var/lib/app/segments
2025-03-04 10:12:02,351 INFO app job 71 queued again
2025-03-04 10:12:04,020 INFO app worker 3 idle
2025-03-04 10:12:09,777 WARN app queue length 41`;

export const json = JSON.stringify(
  Array.from({ length: 8 }, (_, row) => ({
    id: `ord-${1000 + row}`,
    customer: { name: `Customer ${row}`, city: row % 2 === 0 ? 'Verrin' : 'Tarnby' },
    total: 12.5 * (row + 1),
    paid: row !== 5,
  })),
  null,
  2,
);
export const jsonLines = Array.from({ length: 8 }, (_, row) =>
  JSON.stringify({
    ts: 1_700_000_000 + row,
    user: `u${row}`,
    action: 'login',
    ok: row % 3 !== 0,
    ip: `10.0.0.${row}`,
  }),
).join('\n');
export const csv = [
  'date,station,level_m,flow,quality',
  ...Array.from(
    { length: 14 },
    (_, day) =>
      `2024-05-${String(day + 1).padStart(2, '0')},Verrin,${(1.1 + day / 10).toFixed(2)},${30 + day},good`,
  ),
].join('\n');
export const pipeTable = [
  '| Month | Loaves | Rolls | Returns |',
  '| --- | ---: | ---: | ---: |',
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September'].map(
    (month, at) => `| ${month} | ${3600 + at * 41} | ${810 + at * 7} | ${12 + at} |`,
  ),
].join('\n');
export const diff = `diff --git a/src/store.ts b/src/store.ts
index 3f1c2aa..9b77e01 100644
--- a/src/store.ts
+++ b/src/store.ts
@@ -12,9 +12,11 @@ export class Store {
   private readonly path: string;

   write(batch: Batch): void {
-    this.file.append(batch.bytes);
+    if (batch.bytes.length === 0) return;
+    this.file.append(batch.bytes);
+    this.written += batch.bytes.length;
   }

   close(): void {
@@ -40,7 +42,7 @@ export function open(path: string): Store {
-  return new Store(path);
+  return new Store(resolve(path));
 }`;
export const grep = Array.from(
  { length: 10 },
  (_, at) => `src/gate/route${at}.ts:${at * 7 + 3}:  const limit = options.limit ?? ${at * 100};`,
).join('\n');
export const links = Array.from(
  { length: 6 },
  (_, at) =>
    `${at + 1}. Harbour history part ${at + 1} - https://harbour.example/history/${at + 1}\n   A page about the harbour and its ships, with photographs and letters from the archive of the port.`,
).join('\n');
export const python = `import os
from dataclasses import dataclass

@dataclass
class Gauge:
    name: str
    level: float

def read_gauges(path: str) -> list[Gauge]:
    # Q: should empty lines be skipped?
    gauges = []
    with open(path) as source:
        for line in source:
            name, level = line.split(',')
            gauges.append(Gauge(name, float(level)))
    return gauges

def highest(gauges: list[Gauge]) -> Gauge:
    return max(gauges, key=lambda gauge: gauge.level)
`;
export const typescript = `import { readFile } from 'node:fs/promises';

export interface Gauge {
  readonly name: string;
  readonly level: number;
}

export async function readGauges(path: string): Promise<Gauge[]> {
  const text = await readFile(path, 'utf8');
  return text.split('\\n').filter(Boolean).map((line) => {
    const [name = '', level = '0'] = line.split(',');
    return { name, level: Number(level) };
  });
}
`;
export const transcript = [
  'Dana: Good morning, let us begin with the harbour wall.',
  'Piet: The survey came back on Friday and the north end is worse than we thought.',
  'Dana: How much worse?',
  'Piet: Eleven of the forty blocks have moved, two of them by more than a hand.',
  'Oona: That means the budget of 300,000 will not be enough.',
  'Dana: Do we have a second offer?',
  'Oona: Yes, from Brandt, but they cannot start before September.',
  'Piet: September is too late, the storms begin in October.',
  'Dana: Then we ask the council for an advance and start with the two worst blocks.',
  'Oona: I will write the letter today and send it round before noon.',
  'Dana: Good. Piet, please mark the blocks so that the divers find them.',
  'Piet: Will do.',
].join('\n');
export const html = `<!DOCTYPE html>
<html><head><title>Opening hours</title></head>
<body>
<div class="hours"><h1>Museum</h1>
<ul><li>Monday: closed</li><li>Tuesday: 10-17</li><li>Wednesday: 10-17</li><li>Thursday: 10-20</li></ul>
<p>Tickets cost <b>8</b> crowns. Children pay <b>3</b>.</p>
<table><tr><td>Guided tour</td><td>14:00</td></tr><tr><td>Workshop</td><td>15:30</td></tr></table>
</div>
</body></html>`;
