// Tests run on the sources; @swc/jest transpiles, `npm run typecheck` checks the types.
/** @type {import('jest').Config} */
module.exports = {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testEnvironment: 'node',
  testTimeout: 180_000,
  maxWorkers: 2,
  moduleNameMapper: {
    '^zodb$': '<rootDir>/src/index.ts',
    '^zodb/pickle$': '<rootDir>/src/pickle/public.ts',
    '^zodb/postgres$': '<rootDir>/src/storage/postgres/index.ts',
    '^zodb/(.*)$': '<rootDir>/src/$1/index.ts',
  },
  transform: {
    '^.+\\.[mc]?[tj]s$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
        module: { type: 'commonjs' },
      },
    ],
  },
};
