/** Negation words per language, lower-cased. Losing one turns a statement into its opposite. */

/** Words of scripts with spaces; matched as whole words; one string per language, words apart by a blank. */
export const negationWords: Readonly<Record<string, string>> = {
  en: 'no not never none nobody nothing nowhere neither nor without cannot except unless hardly barely scarcely fails failed lacks',
  de: 'nicht nichts kein keine keinen keinem keiner keines nie niemals niemand nirgends weder ohne außer kaum',
  fr: 'ne pas non jamais rien aucun aucune personne ni sans sauf guère nulle nul',
  es: 'no nunca jamás nada nadie ningún ninguno ninguna ni sin tampoco',
  pt: 'não nunca jamais nada ninguém nenhum nenhuma nem sem tampouco',
  it: 'non no mai niente nulla nessuno nessuna nessun né senza neanche',
  nl: 'niet niets geen nooit niemand nergens noch zonder behalve',
  sv: 'inte ej aldrig ingen inget inga ingenting utan varken',
  pl: 'nie nigdy nic nikt żaden żadna żadne ani bez nigdzie',
  ru: 'не ни нет никогда ничего ничто никто никого нигде никак нельзя без кроме никакой никакие',
  uk: 'не ні немає ніколи нічого ніхто ніде без крім жоден',
  tr: 'değil yok hayır asla hiç hiçbir kimse olmadan',
  ar: 'لا لم لن ليس ليست غير بدون ما دون أبدا أبداً كلا',
  fa: 'نه نیست هیچ هرگز بدون نمی',
  he: 'לא אין אל בלי ללא אף מעולם שום',
  hi: 'नहीं न मत कभी बिना ना',
  vi: 'không chẳng chưa đừng trừ',
  ko: '안',
  id: 'tidak bukan jangan tanpa belum tak kecuali',
};

/** Marks of scripts without spaces; matched anywhere; the same form. */
export const negationMarks: Readonly<Record<string, string>> = {
  zh: '不 没 沒 无 無 非 未 别 別 莫 勿 否 毋 除了 除非',
  ja: 'ない なかっ なく ぬ ず ません まい なし 不 無 非 未',
  th: 'ไม่ มิ อย่า ไร้ ยกเว้น',
  ko: '않 없 아니 못 말고 제외',
};
