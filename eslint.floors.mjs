/**
 * The floor plan as a lint rule: a room imports other rooms of its own floor and of lower floors through
 * their `index` only (floor 1 is two files), and never a room of a higher floor.
 */
const plan = [
  ['errors', 'ids'],
  ['pickle', 'transaction', 'bridge'],
  ['record'],
  ['persistence', 'storage'],
  ['btrees', 'conflict'],
  ['database', 'zeo'],
  ['cli', 'studio', 'testing'],
];

const rooms = plan
  .flatMap((names, level) => names.map((name) => ({ name, level })))
  .filter((r) => r.level > 0);

export const floors = rooms.map((room) => {
  const others = rooms.filter((other) => other.name !== room.name);
  const forbidden = others.filter((other) => other.level > room.level).map((other) => other.name);
  const lower = others.filter((other) => other.level <= room.level).map((other) => other.name);
  return {
    files: [`src/${room.name}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            ...(forbidden.length
              ? [
                  {
                    regex: `^(\\.\\./)+(${forbidden.join('|')})(/|$)`,
                    message: `src/${room.name} is on floor ${room.level + 1}; it can't import a room of a higher floor.`,
                  },
                ]
              : []),
            ...(lower.length
              ? [
                  {
                    regex: `^(\\.\\./)+(${lower.join('|')})/(?!index$)`,
                    message: 'Rooms meet only through their index.',
                  },
                ]
              : []),
            { regex: '^(\\.\\./)+index$', message: 'The public index is for users, not for rooms.' },
          ],
        },
      ],
    },
  };
});
