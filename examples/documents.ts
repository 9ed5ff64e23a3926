/** A made-up archive, shared by the examples: many documents, one of which has the answer. */

const towns = [
  'Aldmoor',
  'Brackwater',
  'Corran',
  'Dunfell',
  'Eastmere',
  'Fallow',
  'Glenrook',
  'Hartsea',
];

function chronicle(town: string, at: number): string {
  return [
    `${town} lies on the river Teme, about ${12 + at * 7} kilometres from the coast.`,
    `Its market was first held in ${1240 + at * 31} and still takes place on the second Saturday of the month.`,
    `The mill of ${town} ground barley until ${1890 + at * 5}, when the dam was washed away by a flood.`,
    `A bridge of ${3 + (at % 4)} arches was built in ${1710 + at * 13} by the mason ${['Orrin', 'Tamsin', 'Wystan'][at % 3]} Hale.`,
    `The school has ${80 + at * 17} pupils, who come from the villages on both sides of the valley.`,
    `Every summer a fair with music and a race of rafts draws visitors from far away.`,
    `The town hall keeps a collection of maps, tools and letters that can be seen on request.`,
  ].join(' ');
}

export const documents: readonly string[] = towns.map(chronicle);

export const question = 'Who built the bridge of Corran?';

export const answer = 'Wystan Hale';
