import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import { floors } from './eslint.floors.mjs';

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'coverage', 'test/fixtures', 'test/matrix/**/out'] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  {
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/unified-signatures': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  {
    files: ['**/*.js', '**/*.cjs', '**/*.mjs'],
    languageOptions: {
      globals: {
        module: 'writable',
        require: 'readonly',
        process: 'readonly',
        console: 'readonly',
        Buffer: 'readonly',
        __dirname: 'readonly',
        setTimeout: 'readonly',
        performance: 'readonly',
      },
    },
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
  { files: ['src/**'], rules: { 'no-console': 'error' } },
  { files: ['src/cli/**'], rules: { 'no-console': 'off' } },
  {
    // Loaded when they are needed first, without waiting.
    files: ['src/zeo-on-demand.ts', 'src/cli/commands/serve.ts', 'src/storage/open-storage.ts'],
    rules: {
      '@typescript-eslint/no-require-imports': [
        'error',
        { allow: ['^\\./zeo/index$', '^\\./run-server$', '^\\./postgres$'] },
      ],
    },
  },
  {
    files: ['test/**', 'samples/**', 'bench/**'],
    rules: {
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  ...floors,
);
