/**
 * The floor plan as a lint rule: a room imports from its own floor only itself, from lower floors only their
 * `index` (floor 1 is two files), and never from a higher floor.
 */
const plan = [
  ['errors', 'ids'],
  ['pickle', 'transaction'],
  ['record'],
  ['persistence', 'storage'],
  ['btrees', 'conflict'],
  ['database', 'zeo'],
  ['cli', 'studio'],
];

const rooms = plan
  .flatMap((names, level) => names.map((name) => ({ name, level })))
  .filter((r) => r.level > 0);

export const floors = rooms.map((room) => {
  const others = rooms.filter((other) => other.name !== room.name);
  // Rooms of one floor may meet only where the plan says so: none do, but those of the top floor share the database.
  const forbidden = others.filter((other) => other.level >= room.level).map((other) => other.name);
  const lower = others.filter((other) => other.level < room.level).map((other) => other.name);
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
                    message: `src/${room.name} is on floor ${room.level + 1}; it can't import a room of its own floor or above.`,
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
