/**
 * Phrases without a parser: noun-phrase-like chunks from closed word lists and punctuation. They stand in for the noun
 * chunks of spaCy that the reference merges; a verb between two nouns may end up in either chunk.
 */
import type { WordGroups } from '../tokenize/types.ts';

/** Words that open a noun phrase. */
const determiners = words(
  'a an the this that these those my your his her its our their each every either neither some any no all both ' +
    'another such what which whose one two three four five six seven eight nine ten many few several most more ' +
    'der die das den dem des ein eine einen einem einer eines kein keine dieser diese dieses ' +
    'le la les un une des du ce cet cette ces mon ma mes son sa ses leur leurs ' +
    'el los las una unos unas este esta estos estas su sus il lo gli i uno o os as um uma',
);

/** Words that belong to no noun phrase: prepositions, conjunctions, pronouns, auxiliaries, common adverbs. */
const connectors = words(
  'of in on at to from by with about against between into through during before after above below over under ' +
    'for as than since until while without within along across behind beyond near off onto per toward towards upon ' +
    'via and or but nor so yet if because although though unless whereas when where why how whether that who whom ' +
    'i you he she it we they me him us them myself himself herself itself themselves ' +
    'is am are was were be been being do does did done have has had having will would shall should can could may ' +
    'might must not never also only just then there here very too even still again already often always ' +
    'said says say made make makes get got gets take took use used using went go goes come came became become ' +
    'und oder aber von zu mit bei auf an aus nach für im am zum zur ist sind war waren wird werden hat haben nicht ' +
    'et ou mais de à dans sur avec pour par est sont était ne pas que qui y e pero con por para en es son era no ' +
    'del al se è di da che non per con ed são foi não em do da dos das',
);

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}

/** Content words in one chunk at most; longer runs are mostly not one phrase. */
const longestChunk = 4;

/**
 * First group of every phrase, ascending, starting with 0. A phrase is one connector, one sign, one line break, one word
 * of a script without spaces, or a run: determiner, then up to four content words.
 */
export function phraseStarts(text: string, groups: WordGroups): number[] {
  const starts: number[] = [];
  let open = false;
  let content = 0;
  groups.kinds.forEach((kind, group) => {
    const start = groups.starts[group] ?? 0;
    const word = text.slice(start, groups.ends[group]).toLowerCase();
    const alone =
      kind === 'punctuation' || kind === 'newline' || kind === 'cjk' || kind === 'emoji';
    const opens = determiners.has(word);
    if (alone || (!opens && connectors.has(word))) {
      starts.push(group);
      open = false;
      return;
    }
    if (!open || opens || content >= longestChunk) {
      starts.push(group);
      content = 0;
    }
    open = true;
    if (!opens) content++;
  });
  return starts;
}
