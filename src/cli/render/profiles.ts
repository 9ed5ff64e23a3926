/** The profiles of attention and architecture as a table. */
import {
  profileGroups,
  reuseClasses,
  type AttentionProfile,
} from '../../core/attention-profile.ts';
import { columns } from './columns.ts';

export function renderProfiles(profiles: readonly AttentionProfile[]): string {
  const head = ['method', 'reuse', 'cost', 'longest context', 'movable', 'note'];
  const groups = profileGroups.flatMap((group) => {
    const rows = profiles
      .filter((profile) => profile.group === group)
      .map(({ title, reuse, cost, maxContext, movable, note }) => [
        `  ${title}`,
        reuse,
        cost,
        maxContext,
        movable,
        note,
      ]);
    return [[group], ...rows];
  });
  const classes = Object.entries(reuseClasses).map(([name, meaning]) => `${name} = ${meaning}`);
  return [
    ...columns([head, ...groups]),
    '',
    `Reuse of cached text: ${classes.join('; ')}.`,
    '',
  ].join('\n');
}
