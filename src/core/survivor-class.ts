/** Classes of groups that may be declared to survive. */
export const survivorClasses = [
  'number',
  'identifier',
  'url',
  'path',
  'quoted',
  'negation',
  'code',
  'list-marker',
] as const;
export type SurvivorClass = (typeof survivorClasses)[number];
